-- The tables of pgbench at scale 1.
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int NOT NULL);
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int NOT NULL, tbalance int NOT NULL);
CREATE TABLE pgbench_accounts (aid int, bid int NOT NULL, abalance int NOT NULL);
CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp);
INSERT INTO pgbench_branches VALUES (1, 0);
INSERT INTO pgbench_tellers SELECT tid, 1, 0 FROM generate_series(1, 10) tid;
INSERT INTO pgbench_accounts SELECT aid, 1, 0 FROM generate_series(1, 100000) aid;
ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);
