{{/*
Roles, databases, schemas and publications, by a Job that runs on every install and upgrade. Its SQL may run any
number of times and only ever adds; passwords are read from mounted Secrets and are in no manifest but those.
*/}}
{{- define "postgres.provision" -}}
{{- $fullname := include "service.fullname" . -}}
{{- $digest := toJson .Values.databases | sha256sum | trunc 6 -}}
apiVersion: batch/v1
kind: Job
metadata:
  # A Job is immutable, so each revision has its own; Helm removes the one before.
  {{- include "postgres.metadata" (dict "root" . "component" "postgres-provision" "suffix" (printf "-provision-%d-%s" (int .Release.Revision) $digest)) | nindent 2 }}
spec:
  backoffLimit: 6
  activeDeadlineSeconds: 600
  ttlSecondsAfterFinished: 600
  template:
    metadata:
      labels:
        {{- include "postgres.jobLabels" (dict "root" . "component" "postgres-provision") | nindent 8 }}
    spec:
      restartPolicy: OnFailure
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        {{- include "service.podSecurity" (dict "user" .Values.runAsUser) | nindent 8 }}
      {{- include "service.scheduling" (dict "pod" .Values "root" .) | nindent 6 }}
      containers:
      - name: provision
        {{- include "postgres.psql" . | nindent 8 }}
        command: [/bin/sh, -euc]
        args:
        - |
          for attempt in $(seq 150); do
            pg_isready --quiet && exec psql --no-psqlrc --quiet --file=/etc/postgresql/provision.sql
            sleep 2
          done
          echo "PostgreSQL at $PGHOST does not answer: see the log of pod {{ $fullname }}-0" >&2
          exit 1
        volumeMounts:
        - {name: config, mountPath: /etc/postgresql, readOnly: true}
        {{- include "postgres.loginMounts" . | nindent 8 }}
      volumes:
      - name: config
        configMap: {name: {{ $fullname }}}
      {{- include "postgres.loginVolumes" . | nindent 6 }}
{{- end -}}

{{/* The logins as files, /etc/logins/<secret>/<key>, and a writable /tmp. */}}
{{- define "postgres.loginMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $index, $login := include "postgres.logins" . | fromYamlArray }}
- {name: login-{{ $index }}, mountPath: /etc/logins/{{ $login.secret }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "postgres.loginVolumes" -}}
- {{- include "service.tmpVolume" (dict) | nindent 2 }}
{{- /* Numbered, because a Secret's name may be longer than a volume's, and have dots. */}}
{{- range $index, $login := include "postgres.logins" . | fromYamlArray }}
- name: login-{{ $index }}
  secret: {secretName: {{ $login.secret }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* A container that runs psql as the superuser, over the network. */}}
{{- define "postgres.psql" -}}
image: {{ include "service.image" (dict "root" . "image" .Values.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "service.containerSecurity" . | nindent 2 }}
resources:
  requests: {cpu: 10m, memory: 16Mi}
  limits: {memory: 64Mi}
env:
- {name: PGHOST, value: {{ include "service.fullname" . }}}
- {name: PGUSER, value: postgres}
- {name: PGDATABASE, value: postgres}
- {name: PGCONNECT_TIMEOUT, value: "10"}
- {name: PGOPTIONS, value: -c lock_timeout=60s}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "postgres.superuserSecret" . }}, key: password}
{{- end -}}

{{- define "postgres.provisionSql" -}}
{{- $root := . -}}
\set ON_ERROR_STOP on

-- By default everybody may enter every database.
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
{{- range .Values.databases }}
{{- $entry := include "postgres.entry" (dict "root" $root "entry" .) | fromYaml }}

-- {{ $entry.owner }} in {{ $entry.database }}{{ with $entry.schema }}, schema {{ . }}{{ end }}
{{ include "postgres.roleSql" (dict "role" $entry.owner "secret" $entry.secret "options" "NOREPLICATION") }}
{{ include "postgres.databaseSql" $entry }}
{{- with $entry.capture }}
{{ include "postgres.roleSql" (dict "role" .role "secret" .secret "options" "REPLICATION") }}
GRANT CONNECT ON DATABASE "{{ $entry.database }}" TO "{{ .role }}";
{{- end }}
\connect "{{ $entry.database }}"
REVOKE ALL ON SCHEMA public FROM PUBLIC;
{{- if $entry.schema }}
{{ include "postgres.schemaSql" $entry }}
{{- end }}
\connect postgres
{{- end }}
{{- end -}}

{{/* dict: role, secret, options */}}
{{- define "postgres.roleSql" -}}
SELECT 'CREATE ROLE "{{ .role }}"' WHERE to_regrole('"{{ .role }}"') IS NULL \gexec
\set password `cat /etc/logins/{{ .secret }}/password`
ALTER ROLE "{{ .role }}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {{ .options }} PASSWORD :'password';
{{- end -}}

{{/* A database of the owner's, or a shared one that belongs to no service. */}}
{{- define "postgres.databaseSql" -}}
{{- $owner := ternary "postgres" .owner (not (empty .schema)) -}}
SELECT 'CREATE DATABASE "{{ .database }}" OWNER "{{ $owner }}"'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{{ .database }}') \gexec
REVOKE ALL ON DATABASE "{{ .database }}" FROM PUBLIC;
GRANT CONNECT ON DATABASE "{{ .database }}" TO "{{ .owner }}";
{{- end -}}

{{/* A schema of the owner's in a shared database, where it may create no other. */}}
{{- define "postgres.schemaSql" -}}
SELECT 'CREATE SCHEMA "{{ .schema }}" AUTHORIZATION "{{ .owner }}"' WHERE to_regnamespace('"{{ .schema }}"') IS NULL \gexec
REVOKE ALL ON SCHEMA "{{ .schema }}" FROM PUBLIC;
{{- $owner := .owner }}
{{- range .publications }}
SELECT 'CREATE PUBLICATION "{{ . }}" WITH (publish = ''insert'')'
 WHERE NOT EXISTS (SELECT FROM pg_publication WHERE pubname = '{{ . }}') \gexec
ALTER PUBLICATION "{{ . }}" OWNER TO "{{ $owner }}";
{{- end }}
{{- end -}}
