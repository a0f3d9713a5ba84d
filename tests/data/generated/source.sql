-- generated columns whose expressions have a translation, and some that have none
create table item (
    id integer primary key, name text not null, price decimal(10, 2), qty int,
    total real generated always as (price * qty) stored,
    label text as (name || ' #' || id),
    big boolean as (qty > 10),
    slug text generated always as (lower(name)) stored unique,
    third int as (qty / 3),
    per int as (10 / qty),
    shown text as (printf('%d', qty)),
    longer text as (slug || 'x'),
    rounded decimal(10, 2) as (price * 2),
    doubled text as (rounded || 'x'),
    count int as (length(longer) + third)
);
create index item_total on item (total) where qty + 1 > 2;
create index item_name on item (name || qty desc);
insert into item (name, price, qty) values ('Ab', 19.99, 3), ('Ünder', 20, 11), ('c', null, 0), ('d', 0.07, -7);
