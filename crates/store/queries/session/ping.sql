-- Does Postgres answer?
select true as "answers!"
