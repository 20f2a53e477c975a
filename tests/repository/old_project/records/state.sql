PRAGMA application_id=1886348387;
PRAGMA user_version=2;
BEGIN TRANSACTION;
CREATE TABLE interval (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        pod_id TEXT NOT NULL,
        lease TEXT NOT NULL,
        run TEXT,
        stage TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('compute', 'disk', 'parked-disk', 'network-volume')),
        nano_per_hour INTEGER NOT NULL CHECK (nano_per_hour BETWEEN 0 AND 1000000000000),
        rate_source TEXT NOT NULL CHECK (rate_source IN ('offer', 'provider', 'list-price')),
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER CHECK (ended_ms >= started_ms),
        end_source TEXT,
        CHECK ((ended_ms IS NULL) = (end_source IS NULL))
    ) STRICT
    ;
INSERT INTO "interval" VALUES(1,'plxy32eax4jv5u','l0001','hello-0001','hello','disk',4109589,'list-price',1796064734971,1796064750901,'terminated');
INSERT INTO "interval" VALUES(2,'plxy32eax4jv5u','l0001','hello-0001','hello','compute',690000000,'provider',1796064734971,1796064750901,'terminated');
INSERT INTO "interval" VALUES(3,'iuxpj4wdy0wwn7','l0002','later-0001','later','disk',4109589,'list-price',1796064756934,NULL,NULL);
INSERT INTO "interval" VALUES(4,'iuxpj4wdy0wwn7','l0002','later-0001','later','compute',690000000,'provider',1796064756934,NULL,NULL);
CREATE TABLE lease (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at REAL NOT NULL,
        data TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        closed_at REAL,
        outcome TEXT,
        CHECK ((closed_at IS NULL) = (outcome IS NULL))
    ) STRICT
    ;
INSERT INTO "lease" VALUES(1,'l0001',1.79606473476445102684e+09,'{"boot":1200.0,"cap_usd":null,"dearest":0.86,"fresh":false,"most_usd":5.049576712328768,"on_failure":"park","on_success":"terminate","provider":"emulator","resume":null,"settle":2.0,"worst_usd":2.524788356164384}',2,1.7960647511195702553e+09,'passed');
INSERT INTO "lease" VALUES(2,'l0002',1.79606475660142230984e+09,'{"boot":1200.0,"cap_usd":null,"dearest":0.86,"fresh":false,"most_usd":5.049576712328768,"on_failure":"park","on_success":"terminate","provider":"emulator","resume":null,"settle":2.0,"worst_usd":2.524788356164384}',3,NULL,NULL);
CREATE TABLE op (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        lease TEXT NOT NULL REFERENCES lease (id),
        run TEXT REFERENCES run (id),
        step TEXT NOT NULL,
        phase TEXT NOT NULL CHECK (phase IN ('intent', 'done', 'fail', 'note')),
        of INTEGER REFERENCES op (seq),
        data TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        CHECK ((of IS NOT NULL) = (phase IN ('done', 'fail')))
    ) STRICT
    ;
INSERT INTO "op" VALUES(1,1.79606473487341380124e+09,'l0001',NULL,'generation','note',NULL,'{"nonce":"7c396e24e3064ba1","number":1}',2);
INSERT INTO "op" VALUES(2,1.79606473488897323605e+09,'l0001',NULL,'create','intent',NULL,'{"count":1,"offer":"NVIDIA GeForce RTX 4090","usd_per_hour":0.69}',2);
INSERT INTO "op" VALUES(3,1.79606473505670571327e+09,'l0001',NULL,'create','done',2,'{"count":1,"disk_gb":10,"for_run":"hello-0001","network_volume":null,"offer":"NVIDIA GeForce RTX 4090","pod":"plxy32eax4jv5u","stage":"hello","started_at":1796064734.971,"usd_per_hour":0.69,"volume_gb":20}',2);
INSERT INTO "op" VALUES(4,1.79606474176114606858e+09,'l0001',NULL,'reached','note',NULL,'{"image_digest":"sha256:fb08c62e7bdf6efb044dcf1a58e7700a2f8ec6dbe535bf012e019278db9294ff","pod":"plxy32eax4jv5u","started_at":1796064738.411}',2);
INSERT INTO "op" VALUES(5,1.79606474203528261191e+09,'l0001','hello-0001','upload','intent',NULL,'{}',2);
INSERT INTO "op" VALUES(6,1.79606474510343623162e+09,'l0001','hello-0001','upload','done',5,'{"bytes":283,"code":"d3f187dd7d00fd64c2e9114ee9a9fd7cfc06f60ebe829404d0e5b3eafb68b278","pod":"plxy32eax4jv5u","tree":"9125c46f995e93ff0835d18fdf8180cab722029158b030de245b86c0e342557a"}',2);
INSERT INTO "op" VALUES(7,1.79606474571526169778e+09,'l0001','hello-0001','start-job','intent',NULL,'{"again":false,"at":1796064745.7031424}',2);
INSERT INTO "op" VALUES(8,1.79606474629995894434e+09,'l0001','hello-0001','start-job','done',7,'{"again":false,"at":1796064745.7246826,"attempt":1,"interrupted":false,"pod":"plxy32eax4jv5u","stage":"hello"}',2);
INSERT INTO "op" VALUES(9,1.79606474894321441648e+09,'l0001','hello-0001','pull','intent',NULL,'{}',2);
INSERT INTO "op" VALUES(10,1.79606474976836824413e+09,'l0001','hello-0001','pull','done',9,'{"bytes":16,"files":2,"manifest_sha256":"ced616eeacc3b1dffc8be767bf31f76bf20ceacdc072fafdaf434f72ff206b5c","pulled":2,"rc":0,"reason":"exited","seconds":0.381}',2);
INSERT INTO "op" VALUES(11,1.79606475016037201884e+09,'l0001','hello-0001','judge','note',NULL,'{"findings":[{"criterion":"out/result.json value ok == True","detail":"True, need True","measured":true,"status":"PASS"},{"criterion":"every artifact opens here","detail":"1 files","measured":1,"status":"PASS"},{"criterion":"every declared output could travel","detail":"none was left behind","measured":0,"status":"PASS"}],"verdict":"PASS","warnings":[]}',2);
INSERT INTO "op" VALUES(12,1.79606475037570405004e+09,'l0001','hello-0001','lock','intent',NULL,'{}',2);
INSERT INTO "op" VALUES(13,1.79606475040460062024e+09,'l0001','hello-0001','lock','done',12,'{"certificate_sha256":"0f7706f5b45592d7ef9de4e944737609e3ac0be0a73fb5687488ce99bce6e607"}',2);
INSERT INTO "op" VALUES(14,1.79606475079410529138e+09,'l0001','hello-0001','finish','note',NULL,'{"outcome":"passed","why":""}',2);
INSERT INTO "op" VALUES(15,1.79606475089373087881e+09,'l0001',NULL,'terminate','intent',NULL,'{"pod":"plxy32eax4jv5u","reason":"the lease is over","still_there":false}',2);
INSERT INTO "op" VALUES(16,1.79606475092043852805e+09,'l0001',NULL,'terminate','done',15,'{"at":1796064750.9200494,"interrupted":false,"pod":"plxy32eax4jv5u","reason":"the lease is over","seen_alive":true,"still_there":false,"unknown":false}',2);
INSERT INTO "op" VALUES(17,1.79606475102200961119e+09,'l0001',NULL,'gone','note',NULL,'{"ended_at":1796064750.9009156,"pod":"plxy32eax4jv5u"}',2);
INSERT INTO "op" VALUES(18,1.79606475114769482612e+09,'l0001',NULL,'close','note',NULL,'{"outcome":"passed"}',2);
INSERT INTO "op" VALUES(19,1.79606475685729193685e+09,'l0002',NULL,'generation','note',NULL,'{"nonce":"fb6decb427f17d50","number":1}',3);
INSERT INTO "op" VALUES(20,1.79606475691608285906e+09,'l0002',NULL,'create','intent',NULL,'{"count":1,"offer":"NVIDIA GeForce RTX 4090","usd_per_hour":0.69}',3);
INSERT INTO "op" VALUES(21,1.79606475703188824648e+09,'l0002',NULL,'create','done',20,'{"count":1,"disk_gb":10,"for_run":"later-0001","network_volume":null,"offer":"NVIDIA GeForce RTX 4090","pod":"iuxpj4wdy0wwn7","stage":"later","started_at":1796064756.934,"usd_per_hour":0.69,"volume_gb":20}',3);
INSERT INTO "op" VALUES(22,1.79606476250822472574e+09,'l0002',NULL,'reached','note',NULL,'{"image_digest":"sha256:fb08c62e7bdf6efb044dcf1a58e7700a2f8ec6dbe535bf012e019278db9294ff","pod":"iuxpj4wdy0wwn7","started_at":1796064760.187}',3);
INSERT INTO "op" VALUES(23,1.79606476271159362797e+09,'l0002','later-0001','upload','intent',NULL,'{}',3);
INSERT INTO "op" VALUES(24,1796064765.13245,'l0002','later-0001','upload','done',23,'{"bytes":412,"code":"d3f187dd7d00fd64c2e9114ee9a9fd7cfc06f60ebe829404d0e5b3eafb68b278","pod":"iuxpj4wdy0wwn7","tree":"b19c78e4b95209cc15b4d767edebebc74950dd99e3cdbcdd27e5a4603b2681d9"}',3);
INSERT INTO "op" VALUES(25,1796064765.71577,'l0002','later-0001','start-job','intent',NULL,'{"again":false,"at":1796064765.7151883}',3);
INSERT INTO "op" VALUES(26,1.79606476626476550101e+09,'l0002','later-0001','start-job','done',25,'{"again":false,"at":1796064765.7516274,"attempt":1,"interrupted":false,"pod":"iuxpj4wdy0wwn7","stage":"later"}',3);
CREATE TABLE owner (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch INTEGER NOT NULL,
        installation TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "owner" VALUES(1,3,'2d1c512635d1e567');
CREATE TABLE run (
        id TEXT PRIMARY KEY,
        stage TEXT NOT NULL,
        number INTEGER NOT NULL,
        lease TEXT NOT NULL REFERENCES lease (id),
        at REAL NOT NULL,
        spec TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        finished_at REAL,
        outcome TEXT,
        result TEXT,
        UNIQUE (stage, number),
        CHECK ((finished_at IS NULL) = (outcome IS NULL))
    ) STRICT
    ;
INSERT INTO "run" VALUES('hello-0001','hello',1,'l0001',1.79606473476462030411e+09,'{"models":{},"shape":{"api_base":"http://127.0.0.1:18107","cloud":null,"data_centers":[],"disk_gb":null,"image":"runpod/pytorch:1.0.3-cu1290-torch291-ubuntu2204","mount":"/workspace","network_volume_id":null,"volume_gb":null},"stage":{"checkpoints":[],"command":["bash","job.sh"],"criteria":[{"accept":"","at_least":null,"at_most":null,"claims":{},"equals":true,"key":"ok","kind":"value","match":null,"parts":[],"path":"out/result.json","title":""}],"environment":{"imports":[],"kind":"none","lock":null},"grace_seconds":60.0,"hardware":{"cloud":"SECURE","cpu":null,"data_centers":[],"disk_gb":10,"gpu_count":1,"gpus":["NVIDIA L40S","NVIDIA GeForce RTX 4090"],"max_usd_per_hour":null,"min_cuda":null,"min_gpu_memory_gb":0,"unknown_model_gb":0,"vcpu_count":4,"volume_gb":20},"hours":0.01,"inputs":["job.sh","in.txt"],"max_hours":0.1,"name":"hello","needs":[],"outputs":["out/**"],"parameters":{},"secrets":[],"stall_minutes":60.0,"stray_processes":"wait","title":"Say hello","unchecked":[]}}',2,1.79606475075609421732e+09,'passed','{"why":""}');
INSERT INTO "run" VALUES('later-0001','later',1,'l0002',1.79606475660165214539e+09,'{"models":{},"shape":{"api_base":"http://127.0.0.1:18107","cloud":null,"data_centers":[],"disk_gb":null,"image":"runpod/pytorch:1.0.3-cu1290-torch291-ubuntu2204","mount":"/workspace","network_volume_id":null,"volume_gb":null},"stage":{"checkpoints":[],"command":["bash","later.sh"],"criteria":[{"accept":"","at_least":null,"at_most":null,"claims":{},"equals":null,"key":null,"kind":"exists","match":null,"parts":[],"path":"out/later.txt","title":""}],"environment":{"imports":[],"kind":"none","lock":null},"grace_seconds":60.0,"hardware":{"cloud":"SECURE","cpu":null,"data_centers":[],"disk_gb":10,"gpu_count":1,"gpus":["NVIDIA L40S","NVIDIA GeForce RTX 4090"],"max_usd_per_hour":null,"min_cuda":null,"min_gpu_memory_gb":0,"unknown_model_gb":0,"vcpu_count":4,"volume_gb":20},"hours":0.01,"inputs":["later.sh"],"max_hours":0.1,"name":"later","needs":["hello"],"outputs":["out/**"],"parameters":{},"secrets":[],"stall_minutes":60.0,"stray_processes":"wait","title":"Work on after hello","unchecked":[]}}',3,NULL,NULL,NULL);
CREATE TABLE sighting (
        subject TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        at REAL NOT NULL,
        data TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "sighting" VALUES('driver','owner',1.79606473435109591481e+09,'{"host":"vm"}');
INSERT INTO "sighting" VALUES('pod:iuxpj4wdy0wwn7','provider',1.79606477301356959341e+09,'{"gpu":"NVIDIA GeForce RTX 4090","host":"127.0.0.1","port":24215,"status":"RUNNING","usd_per_hour":0.69}');
INSERT INTO "sighting" VALUES('pod:plxy32eax4jv5u','provider',1.79606475082613945004e+09,'{"gpu":"NVIDIA GeForce RTX 4090","host":"127.0.0.1","port":21916,"status":"RUNNING","usd_per_hour":0.69}');
INSERT INTO "sighting" VALUES('run:hello-0001','agent',1.79606475072562336925e+09,'{"armed":true,"attempt":1,"cpu_util":null,"gpu_util":null,"heartbeat_age":3.7509864080020634,"log_size":31,"loss":null,"max_steps":null,"phase":"","state":"ended","step":null,"text":null}');
INSERT INTO "sighting" VALUES('run:later-0001','agent',1.79606477451321077344e+09,'{"armed":true,"attempt":1,"cpu_util":99.9,"gpu_util":null,"heartbeat_age":0.23614809499849798,"log_size":39,"loss":null,"max_steps":null,"phase":"running","state":"running","step":null,"text":null}');
CREATE TABLE stage_lock (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        stage TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('locked', 'unlocked')),
        run TEXT,
        certificate TEXT NOT NULL,
        reason TEXT NOT NULL,
        epoch INTEGER NOT NULL
    ) STRICT
    ;
INSERT INTO "stage_lock" VALUES(1,1.7960647503978257179e+09,'hello','locked','hello-0001','0f7706f5b45592d7ef9de4e944737609e3ac0be0a73fb5687488ce99bce6e607','',2);
CREATE TABLE total (
        scope TEXT NOT NULL CHECK (scope IN ('stage', 'pod', 'run')),
        subject TEXT NOT NULL,
        stage TEXT NOT NULL,
        kind TEXT NOT NULL,
        ms INTEGER NOT NULL,
        nano INTEGER NOT NULL,
        rest INTEGER NOT NULL,
        PRIMARY KEY (scope, subject, stage, kind)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "total" VALUES('pod','plxy32eax4jv5u','hello','compute',15930,3053250,0);
INSERT INTO "total" VALUES('pod','plxy32eax4jv5u','hello','disk',15930,18184,3352770);
INSERT INTO "total" VALUES('run','hello-0001','hello','compute',15930,3053250,0);
INSERT INTO "total" VALUES('run','hello-0001','hello','disk',15930,18184,3352770);
INSERT INTO "total" VALUES('stage','hello','hello','compute',15930,3053250,0);
INSERT INTO "total" VALUES('stage','hello','hello','disk',15930,18184,3352770);
CREATE TRIGGER owner_grows BEFORE UPDATE ON owner
    WHEN NEW.epoch <= OLD.epoch OR NEW.installation IS NOT OLD.installation
    BEGIN SELECT RAISE(ABORT, 'the epoch only grows'); END;
CREATE TRIGGER owner_stays BEFORE DELETE ON owner
    BEGIN SELECT RAISE(ABORT, 'the owner row stays'); END;
CREATE INDEX op_lease ON op (lease, seq);
CREATE UNIQUE INDEX op_settled ON op (of) WHERE of IS NOT NULL;
CREATE INDEX lease_open ON lease (number) WHERE closed_at IS NULL;
CREATE INDEX run_open ON run (at) WHERE finished_at IS NULL;
CREATE TRIGGER op_no_update BEFORE UPDATE ON op
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER op_no_delete BEFORE DELETE ON op
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER lease_fixed BEFORE UPDATE ON lease
    WHEN OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL OR NEW.number IS NOT OLD.number
        OR NEW.id IS NOT OLD.id OR NEW.at IS NOT OLD.at OR NEW.data IS NOT OLD.data
        OR NEW.epoch IS NOT OLD.epoch
    BEGIN SELECT RAISE(ABORT, 'a lease is only ever closed, once'); END;
CREATE TRIGGER lease_no_delete BEFORE DELETE ON lease
    BEGIN SELECT RAISE(ABORT, 'a lease is never deleted'); END;
CREATE TRIGGER run_fixed BEFORE UPDATE ON run
    WHEN OLD.finished_at IS NOT NULL OR NEW.finished_at IS NULL OR NEW.id IS NOT OLD.id
        OR NEW.stage IS NOT OLD.stage OR NEW.number IS NOT OLD.number
        OR NEW.lease IS NOT OLD.lease OR NEW.at IS NOT OLD.at OR NEW.spec IS NOT OLD.spec
        OR NEW.epoch IS NOT OLD.epoch
    BEGIN SELECT RAISE(ABORT, 'a run is only ever finished, once'); END;
CREATE TRIGGER run_no_delete BEFORE DELETE ON run
    BEGIN SELECT RAISE(ABORT, 'a run is never deleted'); END;
CREATE UNIQUE INDEX interval_open ON interval (pod_id, kind) WHERE ended_ms IS NULL;
CREATE INDEX interval_pod ON interval (pod_id);
CREATE INDEX interval_run ON interval (run) WHERE run IS NOT NULL;
CREATE TRIGGER interval_fixed BEFORE UPDATE ON interval
    WHEN OLD.ended_ms IS NOT NULL OR NEW.ended_ms IS NULL OR NEW.id IS NOT OLD.id
        OR NEW.pod_id IS NOT OLD.pod_id OR NEW.lease IS NOT OLD.lease OR NEW.run IS NOT OLD.run
        OR NEW.stage IS NOT OLD.stage OR NEW.kind IS NOT OLD.kind
        OR NEW.nano_per_hour IS NOT OLD.nano_per_hour
        OR NEW.rate_source IS NOT OLD.rate_source OR NEW.started_ms IS NOT OLD.started_ms
    BEGIN SELECT RAISE(ABORT, 'an interval is only ever closed, once'); END;
CREATE TRIGGER interval_no_delete BEFORE DELETE ON interval
    BEGIN SELECT RAISE(ABORT, 'an interval is never deleted'); END;
CREATE TRIGGER interval_INSERT_stage AFTER INSERT ON interval
        WHEN NEW.ended_ms IS NOT NULL AND NEW.stage IS NOT NULL
        BEGIN
            INSERT INTO total VALUES ('stage', NEW.stage, 
        NEW.stage, NEW.kind, NEW.ended_ms - NEW.started_ms,
        (NEW.ended_ms - NEW.started_ms) / 3600000 * NEW.nano_per_hour
            + (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour / 3600000,
        (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour % 3600000
    )
            ON CONFLICT (scope, subject, stage, kind) DO UPDATE SET
                ms = ms + excluded.ms, nano = nano + excluded.nano, rest = rest + excluded.rest;
        END;
CREATE TRIGGER interval_INSERT_pod AFTER INSERT ON interval
        WHEN NEW.ended_ms IS NOT NULL AND NEW.pod_id IS NOT NULL
        BEGIN
            INSERT INTO total VALUES ('pod', NEW.pod_id, 
        NEW.stage, NEW.kind, NEW.ended_ms - NEW.started_ms,
        (NEW.ended_ms - NEW.started_ms) / 3600000 * NEW.nano_per_hour
            + (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour / 3600000,
        (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour % 3600000
    )
            ON CONFLICT (scope, subject, stage, kind) DO UPDATE SET
                ms = ms + excluded.ms, nano = nano + excluded.nano, rest = rest + excluded.rest;
        END;
CREATE TRIGGER interval_INSERT_run AFTER INSERT ON interval
        WHEN NEW.ended_ms IS NOT NULL AND NEW.run IS NOT NULL
        BEGIN
            INSERT INTO total VALUES ('run', NEW.run, 
        NEW.stage, NEW.kind, NEW.ended_ms - NEW.started_ms,
        (NEW.ended_ms - NEW.started_ms) / 3600000 * NEW.nano_per_hour
            + (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour / 3600000,
        (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour % 3600000
    )
            ON CONFLICT (scope, subject, stage, kind) DO UPDATE SET
                ms = ms + excluded.ms, nano = nano + excluded.nano, rest = rest + excluded.rest;
        END;
CREATE TRIGGER interval_UPDATE_stage AFTER UPDATE ON interval
        WHEN NEW.ended_ms IS NOT NULL AND NEW.stage IS NOT NULL
        BEGIN
            INSERT INTO total VALUES ('stage', NEW.stage, 
        NEW.stage, NEW.kind, NEW.ended_ms - NEW.started_ms,
        (NEW.ended_ms - NEW.started_ms) / 3600000 * NEW.nano_per_hour
            + (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour / 3600000,
        (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour % 3600000
    )
            ON CONFLICT (scope, subject, stage, kind) DO UPDATE SET
                ms = ms + excluded.ms, nano = nano + excluded.nano, rest = rest + excluded.rest;
        END;
CREATE TRIGGER interval_UPDATE_pod AFTER UPDATE ON interval
        WHEN NEW.ended_ms IS NOT NULL AND NEW.pod_id IS NOT NULL
        BEGIN
            INSERT INTO total VALUES ('pod', NEW.pod_id, 
        NEW.stage, NEW.kind, NEW.ended_ms - NEW.started_ms,
        (NEW.ended_ms - NEW.started_ms) / 3600000 * NEW.nano_per_hour
            + (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour / 3600000,
        (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour % 3600000
    )
            ON CONFLICT (scope, subject, stage, kind) DO UPDATE SET
                ms = ms + excluded.ms, nano = nano + excluded.nano, rest = rest + excluded.rest;
        END;
CREATE TRIGGER interval_UPDATE_run AFTER UPDATE ON interval
        WHEN NEW.ended_ms IS NOT NULL AND NEW.run IS NOT NULL
        BEGIN
            INSERT INTO total VALUES ('run', NEW.run, 
        NEW.stage, NEW.kind, NEW.ended_ms - NEW.started_ms,
        (NEW.ended_ms - NEW.started_ms) / 3600000 * NEW.nano_per_hour
            + (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour / 3600000,
        (NEW.ended_ms - NEW.started_ms) % 3600000 * NEW.nano_per_hour % 3600000
    )
            ON CONFLICT (scope, subject, stage, kind) DO UPDATE SET
                ms = ms + excluded.ms, nano = nano + excluded.nano, rest = rest + excluded.rest;
        END;
CREATE INDEX stage_lock_stage ON stage_lock (stage, seq);
CREATE TRIGGER stage_lock_turns BEFORE INSERT ON stage_lock
    WHEN NEW.kind = coalesce(
        (SELECT kind FROM stage_lock WHERE stage = NEW.stage ORDER BY seq DESC LIMIT 1),
        'unlocked')
    BEGIN SELECT RAISE(ABORT, 'a stage is locked once and unlocked once in turn'); END;
CREATE TRIGGER stage_lock_no_update BEFORE UPDATE ON stage_lock
    BEGIN SELECT RAISE(ABORT, 'a lock is never changed'); END;
CREATE TRIGGER stage_lock_no_delete BEFORE DELETE ON stage_lock
    BEGIN SELECT RAISE(ABORT, 'a lock is never deleted'); END;
CREATE INDEX run_lease ON run (lease);
CREATE INDEX lease_closed ON lease (closed_at);
CREATE INDEX op_generation ON op (lease, data) WHERE step = 'generation';
CREATE INDEX op_create ON op (lease) WHERE step = 'create' AND phase = 'intent';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('op',26);
INSERT INTO "sqlite_sequence" VALUES('interval',4);
INSERT INTO "sqlite_sequence" VALUES('stage_lock',1);
COMMIT;
