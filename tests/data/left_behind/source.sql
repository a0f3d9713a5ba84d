create table kept (id integer primary key, n int);
create table other (id integer primary key, n int);
create view seen as select * from kept;
create view broken as select * from nowhere;
create trigger fired after insert on Other begin delete from kept; end;
create virtual table searched using fts5 (body);
analyze;
