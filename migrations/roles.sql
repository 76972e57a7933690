-- The fleet's roles. They belong to the whole cluster, not to a database, so they are no numbered migration:
-- `bulkhead migrate` runs this each time, before the migrations, as a superuser or a role with CREATEROLE.
-- Databases of one cluster may be migrated at the same moment; whoever comes second finds the work done.
-- Roles get no password here: give each login its own way in (password, certificate, peer).
do $roles$
declare
    role record;
begin
    for role in
        select * from (values
            ('bulkhead_owner', 'nologin'),
            ('bulkhead_migrator', 'login'),
            ('bulkhead_operator', 'login'),
            ('bulkhead_scheduler', 'login'),
            ('bulkhead_sync', 'login'),
            ('bulkhead_token', 'login'),
            ('bulkhead_purge', 'login'),
            ('bulkhead_containment', 'login')
        ) as wanted (name, login)
    loop
        if exists (select from pg_catalog.pg_roles where rolname = role.name) then
            continue;
        end if;
        begin
            execute format('create role %I %s nosuperuser nobypassrls nocreatedb nocreaterole noinherit', role.name, role.login);
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;

    -- Both may become the owner, by `set role`; the owner itself cannot log in.
    for role in
        select name from unnest(array['bulkhead_migrator', current_user::text]) as wanted (name)
    loop
        if pg_catalog.pg_has_role(role.name, 'bulkhead_owner', 'member') then
            continue;
        end if;
        begin
            execute format('grant bulkhead_owner to %I', role.name);
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$roles$;

-- Nobody but the fleet's logins enters this database, and nobody makes temporary tables in it.
do $database$
declare
    database constant text := current_database();
begin
    execute format('revoke all on database %I from public', database);
    execute format('grant connect, create on database %I to bulkhead_owner', database);
    execute format(
        'grant connect on database %I to bulkhead_migrator, bulkhead_operator, bulkhead_scheduler, '
        'bulkhead_sync, bulkhead_token, bulkhead_purge, bulkhead_containment',
        database
    );
    revoke all on schema public from public;
    create schema if not exists bulkhead authorization bulkhead_owner;
end
$database$;
