create table folded (
    name text collate nocase primary key,
    email text collate nocase unique,
    trimmed text collate rtrim unique,
    plain text unique,
    number int collate nocase unique
);
create index by_bytes on folded (email collate binary);
