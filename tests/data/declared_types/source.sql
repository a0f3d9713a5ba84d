create table declared (
    a INTEGER, b UNSIGNED BIG INT, c TINYINT(1), d BOOLEAN, e DATE, f DATETIME, g TIMESTAMP(6), h TIMESTAMPTZ,
    i TIMESTAMP WITH TIME ZONE, j TIME, k DECIMAL(10,2), l DECIMAL, m MONEY, n NUMERIC(1001), o NUMERIC(40, 10),
    p REAL, q DOUBLE PRECISION, r FLOAT, s CHAR(3), t VARCHAR(255), u VARYING CHARACTER(70), v NATIVE CHARACTER(70),
    w VARCHAR(0), x VARCHAR(10485761), y NVARCHAR, z TEXT, aa CLOB, ab STRING, ac JSON, ad JSONB, ae UUID,
    af UNIQUEIDENTIFIER, ag BLOB, ah VARBINARY(16), ai smallint, aj NUMERIC(5)
);
create table from_data (ints, reals ANY, texts FLURB, blobs POINT, mixed, numbers FLURB, more_numbers POINT, none, strange FLURB);
insert into from_data values (1, 1.5, 'a', x'00', 1, 1, 1, null, null), (2, 2.5, 'b', x'01', 'a', 1.5, 1.5, null, null);
