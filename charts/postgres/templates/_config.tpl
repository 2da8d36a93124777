{{- define "postgres.config" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "postgres.metadata" . | nindent 2 }}
data:
  postgresql.conf: |
    {{- include "postgres.settings" . | nindent 4 }}
  pg_hba.conf: |
    # In the pod, a process of the server's user is its superuser (`kubectl exec`), so no password is needed there.
    local all all peer
    # A role that may replicate streams the changes of tables that it was granted. It never copies the whole instance.
    host replication all all reject
    host all all all scram-sha-256
  provision.sql: |
    {{- include "postgres.provisionSql" . | nindent 4 }}
{{- end -}}

{{- define "postgres.settings" -}}
listen_addresses = '*'
unix_socket_directories = '/tmp'
max_connections = {{ .values.settings.maxConnections }}
password_encryption = scram-sha-256
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off

# Capture: Debezium reads row changes from the WAL, through one slot for each Outbox.
wal_level = logical
max_replication_slots = {{ .values.settings.maxReplicationSlots }}
max_wal_senders = {{ .values.settings.maxWalSenders }}
max_slot_wal_keep_size = {{ .values.settings.maxSlotWalKeepSize }}

# Sagas replace two-phase commit.
max_prepared_transactions = 0

# Small: many instances share a node.
shared_buffers = {{ .values.settings.sharedBuffers }}
work_mem = 4MB
maintenance_work_mem = 32MB
max_wal_size = 256MB
min_wal_size = 64MB
max_worker_processes = 4
max_parallel_workers = 0
autovacuum_max_workers = 2

# A client that vanishes in the middle of a transaction must not hold its locks for hours.
idle_in_transaction_session_timeout = '5min'
tcp_keepalives_idle = 60
{{- range $name, $value := .values.settings.extra }}
{{ $name }} = '{{ include "service.setting" $value | replace "'" "''" }}'
{{- end }}
{{- end -}}
