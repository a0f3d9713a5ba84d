-- virtual tables that hold rows of their own, and some that index or compute others
create virtual table notes using fts5(title, body, tag unindexed, tokenize='porter ascii');
insert into notes (rowid, title, body, tag) values (5, 'Eins', 'erste notiz', 'x'), (9, 'Zwei', 'zweite', null);
create virtual table old3 using fts3(a, b);
insert into old3 (docid, a, b) values (3, 'q', 'w');
create virtual table old4 using fts4(a, b, tokenize=porter);
create table doc (id integer primary key, t text);
insert into doc values (1,'hallo');
create virtual table ext using fts5(t, content='doc', content_rowid='id');
create virtual table less using fts5(t, content='');
create virtual table boxes using rtree(id, minx, maxx, miny, maxy);
insert into boxes values (1, 0.1, 2.5, -3, 4), (2, 1,1,1,1);
create virtual table ibox using rtree_i32(id, x0, x1);
insert into ibox values (7, 1, 2);
create virtual table v5 using fts5vocab(notes, 'row');
create virtual table auxed using rtree(id, x0, x1, +label text);
insert into auxed values (7, 1, 2, 'here');
