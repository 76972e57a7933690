-- What tests of crashes judge by, written down by Postgres itself in the order in which it was committed to a row:
-- which lease entered a job, which pages were stored, which obligations were done. Tests alone install it.
create schema judge;

create table judge.entered (at bigserial primary key, job uuid not null, token bigint not null);
create table judge.done (at bigserial primary key, job uuid not null, kind text not null);
create table judge.pages (at bigserial primary key, connection_id uuid not null, pages bigint not null, page_token text);
-- Written by a test: the last page that was stored when it killed a worker.
create table judge.kills (page bigint not null);
create table judge.generations (at bigserial primary key, connection_id uuid not null, generation bigint not null);

create function judge.see_obligation() returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
    if new.fencing_token <> old.fencing_token then
        insert into judge.entered (job, token) values (new.id, new.fencing_token);
    end if;
    if new.state = 'done' then
        insert into judge.done (job, kind) values (new.id, new.kind);
    end if;
    return null;
end
$$;
create trigger judged after update on bulkhead.obligations
    for each row when (new.fencing_token <> old.fencing_token or (new.state = 'done' and new.state <> old.state))
    execute function judge.see_obligation();

-- The page that was stored is the one that the checkpoint stood at before.
create function judge.see_page() returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
    if tg_op = 'INSERT' then
        insert into judge.pages (connection_id, pages) values (new.connection_id, new.pages);
    elsif new.pages <> old.pages then
        insert into judge.pages (connection_id, pages, page_token) values (new.connection_id, new.pages, old.page_token);
    end if;
    return null;
end
$$;
create trigger judged after insert or update on bulkhead.checkpoints
    for each row execute function judge.see_page();

create function judge.see_generation() returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
    insert into judge.generations (connection_id, generation) values (new.connection_id, new.generation);
    return null;
end
$$;
create trigger judged after insert or update on bulkhead.access_tokens
    for each row execute function judge.see_generation();
