create table checked (
    id integer primary key,
    age int check (age between 0 and 150),
    name text not null check (length(name) > 0 and trim(name) <> ''),
    state text constraint known_state check (state in ('new', 'old')),
    flag boolean not null default 0 check (flag in (0, 1)),
    price decimal(10, 2) check (price >= 0),
    doc json check (json_valid(doc)),
    born date check (born > '1900-01-01'),
    kind text check (typeof(kind) = 'text'),
    note text check (note like 'a%'),
    code text check (code glob '[0-9]*'),
    check (age is null or flag = 1),
    check (age / 2 > 3),
    check (random() > 0)
);
create table generated (a int, b int generated always as (a + 1) stored, c text as ('x'));
create table resolved (a int unique on conflict replace, b int not null on conflict abort, primary key (b) on conflict ignore);
create table defaulted (
    a text default 'it''s', b text default "double", c int default -1, d int default (1 + 2), e datetime default current_timestamp,
    f text default (datetime('now')), g boolean default true, h blob default x'00ff', i text default (lower(hex(randomblob(16)))),
    j numeric(5, 2) default 1.5, k date default '2024-02-30', l text default null
);
create index partial_translated on checked (age) where flag = 1 and state = 'new';
create index partial_like on checked (age) where name like 'x%';
create index partial_untranslated on checked (age) where age << 1 = 2;
