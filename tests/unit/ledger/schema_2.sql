-- A ledger as schema 2 wrote it. Never edited: a later schema must still read all of it.
PRAGMA application_id=1919906913;
BEGIN TRANSACTION;
CREATE TABLE attempts (
	token TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	rotation TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	key_id TEXT, 
	PRIMARY KEY (token)
);
INSERT INTO "attempts" VALUES('token-one-1','one','rotation-one-1',1,'key-2');
INSERT INTO "attempts" VALUES('token-three-1','three','rotation-three-1',1,NULL);
CREATE TABLE debts (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	open BOOLEAN NOT NULL, 
	since BIGINT NOT NULL, 
	doc TEXT NOT NULL, 
	UNIQUE (id)
);
INSERT INTO "debts" VALUES(1,'debt-one-1','one',1,1767603600000000,'{"id":"debt-one-1","secret":"one","policy":{"name":"policy-one","provider":{"name":"tests","type":"local","base_url":"http://127.0.0.1","admin":null,"options":{}},"target":{"id":"one","store":{"name":"here","type":"memory","settings":{}},"secret":"one","fields":{},"format":"json"},"every":"PT1H","cron":null,"timezone":"UTC","windows":[],"jitter":"PT0S","grace":"P1D","key":{},"kind":"key","tags":{},"owner":null,"place":""},"reason":"replaced","key_id":"key-1","provenance":"issued","since":"2026-01-05T09:00:00Z","token":null,"version":null,"grace":"PT0S","not_before":null,"urgent":false,"phase":"owed","kept":null,"baseline_at":null,"revoked_at":null,"ended_at":null,"proof":null,"look_at":null,"looks":0,"block":null,"alarmed":false}');
INSERT INTO "debts" VALUES(2,'debt-one-2','one',0,1767603600000000,'{"id":"debt-one-2","secret":"one","policy":{"name":"policy-one","provider":{"name":"tests","type":"local","base_url":"http://127.0.0.1","admin":null,"options":{}},"target":{"id":"one","store":{"name":"here","type":"memory","settings":{}},"secret":"one","fields":{},"format":"json"},"every":"PT1H","cron":null,"timezone":"UTC","windows":[],"jitter":"PT0S","grace":"P1D","key":{},"kind":"key","tags":{},"owner":null,"place":""},"reason":"replaced","key_id":"key-2","provenance":"issued","since":"2026-01-05T09:00:00Z","token":null,"version":null,"grace":"PT0S","not_before":null,"urgent":false,"phase":"dead","kept":null,"baseline_at":null,"revoked_at":null,"ended_at":"2026-01-05T09:00:00Z","proof":null,"look_at":null,"looks":0,"block":null,"alarmed":false}');
CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	secret TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	untold BOOLEAN NOT NULL, 
	doc TEXT NOT NULL
);
INSERT INTO "events" VALUES(1,'one',1767603600000000,0,'{"secret":"one","kind":"staged","text":"text","level":"info","rotation":null,"debt":null,"data":{},"at":null,"seq":0}');
INSERT INTO "events" VALUES(2,'one',1767603600000000,1,'{"secret":"one","kind":"blocked","text":"text","level":"alarm","rotation":"rotation-one-1","debt":null,"data":{"key_id":"key-2"},"at":null,"seq":0}');
INSERT INTO "events" VALUES(3,'three',1767603600000000,0,'{"secret":"three","kind":"promoted","text":"text","level":"info","rotation":null,"debt":null,"data":{"key_id":"key-3"},"at":null,"seq":0}');
CREATE TABLE facts (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "facts" VALUES('control/a','value');
CREATE TABLE locks (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	until BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "locks" VALUES('principal','worker',1767603660000000);
CREATE TABLE meta (
	one INTEGER NOT NULL, 
	schema_version INTEGER NOT NULL, 
	ledger_id VARCHAR(8) NOT NULL, 
	made_at BIGINT NOT NULL, 
	PRIMARY KEY (one)
);
INSERT INTO "meta" VALUES(1,2,'0a1b2c3d',1767603600000000);
CREATE TABLE orders (
	secret TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (secret, kind)
);
INSERT INTO "orders" VALUES('one','run','{"kind":"run","by":"a person","reason":"leaked","at":"2026-01-05T09:00:00Z","grace":"PT1H","until":null}');
CREATE TABLE rotations (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	live TEXT, 
	began_at BIGINT NOT NULL, 
	doc TEXT NOT NULL, 
	UNIQUE (id), 
	UNIQUE (live)
);
INSERT INTO "rotations" VALUES(1,'rotation-one-1','one','one',1767603600000000,'{"id":"rotation-one-1","secret":"one","policy":{"name":"policy-one","provider":{"name":"tests","type":"local","base_url":"http://127.0.0.1","admin":null,"options":{}},"target":{"id":"one","store":{"name":"here","type":"memory","settings":{}},"secret":"one","fields":{},"format":"json"},"every":"PT1H","cron":null,"timezone":"UTC","windows":[],"jitter":"PT0S","grace":"P1D","key":{},"kind":"key","tags":{},"owner":null,"place":""},"reason":"due","began_at":"2026-01-05T09:00:00Z","phase":"staged","attempt":{"token":"token-one-1","number":1,"push":"push-1","key_id":"key-2","version":"version-2","issued_at":null,"staged_at":null,"successes":1,"first_success":"2026-01-05T09:00:00Z","promoted_at":null},"wanted":{"scopes":["read",1,null,true]},"expected":"version-1","old":{"version":"version-1","key_id":"key-1","provenance":"adopted","since":"2026-01-05T09:00:00Z","token":null},"replicated":false,"grace":"PT1H","urgent":false,"look_at":"2026-01-05T10:00:00Z","looks":0,"ended_at":null,"error":null}');
INSERT INTO "rotations" VALUES(2,'rotation-three-1','three',NULL,1767603600000000,'{"id":"rotation-three-1","secret":"three","policy":{"name":"policy-three","provider":{"name":"tests","type":"local","base_url":"http://127.0.0.1","admin":null,"options":{},"kind":null,"account":""},"target":{"id":"three","store":{"name":"here","type":"memory","settings":{}},"secret":"three","fields":{},"format":"json"},"every":"PT1H","cron":null,"timezone":"UTC","windows":[],"jitter":"PT0S","grace":"P1D","key":{},"kind":"key","renew":null,"parent":null,"tags":{},"owner":null,"place":""},"reason":"due","began_at":"2026-01-05T09:00:00Z","phase":"promoted","attempt":{"token":"token-three-1","number":1,"push":"push-1","key_id":null,"version":null,"issued_at":null,"staged_at":null,"successes":0,"first_success":null,"verified_at":null,"expires_at":null,"dead_by":null,"made_with":null,"promoted_at":null},"wanted":{},"expected":null,"old":null,"replicated":false,"grace":"PT0S","urgent":false,"look_at":null,"looks":0,"ended_at":null,"error":null}');
CREATE TABLE secrets (
	id TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	next_at BIGINT, 
	epoch BIGINT NOT NULL, 
	holder TEXT, 
	claimed_until BIGINT, 
	ttl BIGINT NOT NULL, 
	nudges BIGINT NOT NULL, 
	doc TEXT NOT NULL, parent TEXT, key_id TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "secrets" VALUES('one','policy-one','tests',1767603600000000,1,NULL,NULL,60000000,1,'{"id":"one","policy":"policy-one","principal":"tests","enrolled_at":"2026-01-05T09:00:00Z","jitter":0.25,"looked_at":"2026-01-05T09:00:00Z","spread_until":null,"current":{"version":"version-1","key_id":"key-1","provenance":"adopted","since":"2026-01-05T09:00:00Z","token":null},"rotated_at":null,"settings":null,"account":null,"failures":2,"failed_at":"2026-01-05T09:00:00Z","block":{"kind":"kind","reason":"reason","todo":"to do","since":"2026-01-05T09:00:00Z"},"pushes":["2026-01-05T09:00:00Z"],"rehearsed_at":null,"digest":"","gone":false}',NULL,'key-1');
INSERT INTO "secrets" VALUES('two','policy-two','tests',1767603600000000,0,NULL,NULL,0,0,'{"id":"two","policy":"policy-two","principal":"tests","enrolled_at":"2026-01-05T09:00:00Z","jitter":0.0,"looked_at":null,"spread_until":null,"current":null,"rotated_at":null,"settings":null,"account":null,"failures":0,"failed_at":null,"block":null,"pushes":[],"rehearsed_at":null,"digest":"","gone":false}',NULL,NULL);
INSERT INTO "secrets" VALUES('three','policy-three','tests',NULL,1,NULL,NULL,60000000,0,'{"id":"three","policy":"policy-three","principal":"tests","enrolled_at":"2026-01-05T09:00:00Z","parent":"two","jitter":0.0,"looked_at":null,"spread_until":null,"current":{"version":"version-3","key_id":"key-3","provenance":"issued","since":"2026-01-05T09:00:00Z","token":"token-three-1","expires_at":null,"dead_by":null,"made_with":null},"rotated_at":null,"settings":null,"account":null,"failures":0,"failed_at":null,"block":null,"pushes":[],"rehearsed_at":null,"digest":"","gone":false}','two','key-3');
CREATE TABLE slots (
	token TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	key_id TEXT, 
	PRIMARY KEY (token)
);
INSERT INTO "slots" VALUES('token-one-1','tests','key-2');
CREATE INDEX secrets_due ON secrets (next_at, id);
CREATE INDEX rotations_of_secret ON rotations (secret, began_at, seq);
CREATE INDEX debts_of_secret ON debts (secret, since, seq);
CREATE INDEX debts_open ON debts (open, since, seq);
CREATE INDEX events_untold ON events (untold, seq);
CREATE INDEX events_of_secret ON events (secret, seq);
CREATE INDEX slots_of_principal ON slots (principal);
CREATE INDEX secrets_of_parent ON secrets (parent, id);
CREATE INDEX secrets_of_key ON secrets (key_id, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('rotations',2);
INSERT INTO "sqlite_sequence" VALUES('debts',2);
INSERT INTO "sqlite_sequence" VALUES('events',3);
COMMIT;
