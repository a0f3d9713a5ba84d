create table parent (id integer primary key, code text unique, folded text collate nocase unique, part int, loose text);
create unique index parent_partial on parent (part) where part > 0;
create table pair (a text, b int, primary key (b, a));
create table node (id integer primary key, up int references node on delete set null);
create table child (
    id integer primary key,
    by_id text references parent,
    by_code varchar(10) references PARENT (CODE) on delete cascade on update set null deferrable initially deferred,
    by_folded text references parent (folded),
    by_part int references parent (part),
    by_loose text references parent (loose),
    by_missing int references missing (id),
    by_column int references parent (absent),
    a text, b int,
    constraint to_pair foreign key (a, b) references pair (a, b) deferrable,
    foreign key (b, a) references pair
);
create table grandchild (id int references child (id), code text references child (by_code));
create table chain_a (id int primary key references chain_b (id));
create table chain_b (id int primary key references chain_a (id));
