-- names that PostgreSQL reads otherwise, or not at all
create table "quo""te" ("a ""b""" int, "per%cent" text default '100%s', "co:lon" text default ':x', "do.t" int);
create table "Select" ("User" int primary key, "user 2" int references "Select" ("User"), "ORDER" text);
create table boxes (xmin int, xmax int, ctid int, tableoid int, ctid_ int, "" int);
create table "таблица_с_очень_длинным_именем_которое_не_помещается" (id integer primary key, "列" int);
create table "a_table_whose_name_is_longer_than_the_sixty_three_bytes_that_fit_1" (
    "a_column_whose_name_is_longer_than_the_sixty_three_bytes_that_fit_1" int,
    "a_column_whose_name_is_longer_than_the_sixty_three_bytes_that_fit_2" int unique
);
create table "a_table_whose_name_is_longer_than_the_sixty_three_bytes_that_fit_2" (id integer primary key);
create table counter (id integer primary key);
create table counter_id_seq (id integer primary key);
create table [in brackets] (`in backticks` int, 'in apostrophes' int);
create table "😀" ("😀" text unique);
create index "😀 index" on "😀" ("😀");
create table "äb" ("Ä" int check ("Ä" > 0), "ä" text references "ÄB");
create table "ÄB" (code text primary key);
create index "per%cent" on "quo""te" ("per%cent");
create table "" (id integer primary key, "" int unique, constraint "" check (id > 0));
create table _ (id integer primary key);
