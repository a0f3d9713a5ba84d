-- after the manner of a GIS application: bounding boxes called xmin and ymax, geometries as blobs, an R-tree, PostGIS-like types
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL, definition TEXT NOT NULL);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), min_x DOUBLE, max_x DOUBLE, srs_id INTEGER, CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE parcels (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POLYGON, name TEXT(50), xmin REAL, xmax REAL, ymin REAL, ymax REAL, area REAL GENERATED ALWAYS AS ((xmax - xmin) * (ymax - ymin)) STORED, surveyed DATE, CHECK (xmin <= xmax AND ymin <= ymax));
CREATE VIRTUAL TABLE rtree_parcels_geom USING rtree(id, minx, maxx, miny, maxy);
CREATE INDEX parcels_box ON parcels (xmin, xmax);
CREATE VIEW large_parcels AS SELECT fid, name, area FROM parcels WHERE area > 10 ORDER BY area DESC;
CREATE TRIGGER parcels_rtree AFTER INSERT ON parcels BEGIN INSERT INTO rtree_parcels_geom VALUES (new.fid, new.xmin, new.xmax, new.ymin, new.ymax); END;
INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84', 4326, 'EPSG', 'GEOGCS["WGS 84"]');
INSERT INTO gpkg_contents VALUES ('parcels', 'features', 'parcels', '2024-03-01T10:00:00.000Z', -180, 180, 4326);
INSERT INTO parcels (geom, name, xmin, xmax, ymin, ymax, surveyed) VALUES (x'47500001e6100000', 'Nord', 0.5, 4.5, 1.25, 5.25, '2024-03-01'), (NULL, 'Süd', 0, 1, 0, 1, NULL);
