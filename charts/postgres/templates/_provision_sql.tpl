{{/* The SQL of the Job that provisions; see _provision.tpl. */}}
{{- define "postgres.provisionSql" -}}
\set ON_ERROR_STOP on

-- By default every role may enter every database.
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
{{- range $entry := include "postgres.entries" . | fromYamlArray }}

-- {{ $entry.owner }} in {{ $entry.database }}{{ with $entry.schema }}, schema {{ . }}{{ end }}
{{ include "postgres.roleSql" (dict "role" $entry.owner "secret" $entry.secret "options" "NOREPLICATION") }}
{{ include "postgres.databaseSql" $entry }}
{{- with $entry.capture }}
{{ include "postgres.roleSql" (dict "role" .role "secret" .secret "options" "REPLICATION") }}
GRANT CONNECT ON DATABASE "{{ $entry.database }}" TO "{{ .role }}";
{{- end }}
{{- with $entry.serving }}
{{ include "postgres.roleSql" (dict "role" .role "secret" .secret "options" "NOREPLICATION") }}
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

{{/* A schema of the owner's in a shared database, where the owner may create no other. */}}
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
