-- The journal. `json`, not `jsonb`: it is written far more often than it is queried. It also keeps every text that JSON
-- allows. jsonb rejects \u0000, so one saga's input would fail the whole batch that it is committed with.

CREATE SEQUENCE kompensa.lease_epoch;

-- A lease row is rewritten every second or two; the free space keeps those updates on their page.
CREATE TABLE kompensa.engines (
    name        text PRIMARY KEY,
    epoch       bigint NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE kompensa.shards (
    shard   integer PRIMARY KEY,
    engine  text
) WITH (fillfactor = 50);

INSERT INTO kompensa.shards (shard) SELECT generate_series(0, 31);

CREATE TABLE kompensa.participants (
    namespace   text NOT NULL,
    name        text NOT NULL,
    spec        json NOT NULL,
    token       text,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, name)
);

-- Every revision is kept: a saga runs to its end by the revision it was started with.
CREATE TABLE kompensa.definitions (
    namespace   text NOT NULL,
    name        text NOT NULL,
    revision    text NOT NULL,
    spec        json NOT NULL,
    current     boolean NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, name, revision)
);
CREATE UNIQUE INDEX definitions_current ON kompensa.definitions (namespace, name) WHERE current;

-- settled: terminal, and its object (if it has one) says so. A new owner must load those that are not settled.
CREATE TABLE kompensa.sagas (
    id               uuid PRIMARY KEY,
    namespace        text NOT NULL,
    definition       text NOT NULL,
    idempotency_key  text,
    object_uid       uuid,
    shard            integer NOT NULL,
    epoch            bigint NOT NULL,
    version          integer NOT NULL,
    phase            text NOT NULL,
    settled          boolean NOT NULL,
    created_at       timestamptz NOT NULL,
    finished_at      timestamptz,
    expires_at       timestamptz,
    origin           json NOT NULL,
    state            json NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX sagas_idempotency ON kompensa.sagas (namespace, definition, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX sagas_unsettled ON kompensa.sagas (shard, id) WHERE NOT settled;
CREATE INDEX sagas_created ON kompensa.sagas (created_at, id);
CREATE INDEX sagas_expired ON kompensa.sagas (expires_at) WHERE settled;
CREATE INDEX sagas_intervention ON kompensa.sagas (created_at, id) WHERE phase = 'InterventionRequired';

CREATE TABLE kompensa.saga_log (
    saga_id  uuid NOT NULL,
    version  integer NOT NULL,
    epoch    bigint NOT NULL,
    entries  json NOT NULL,
    PRIMARY KEY (saga_id, version)
);

-- Requests of people and objects to a saga; deleted in the transaction that makes its effect durable.
CREATE TABLE kompensa.signals (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    saga_id     uuid NOT NULL,
    kind        text NOT NULL,
    reason      text NOT NULL,
    generation  bigint,
    created_at  timestamptz NOT NULL DEFAULT now()
);
