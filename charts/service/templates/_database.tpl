{{/*
The login of a PostgreSQL as environment variables; dict: variable (which gets the URL), secret, keys.

If keys.url is empty, the Secret has no URL, only its parts: the variable then holds an empty URL, and libpq's own
variables (PGHOST and the rest) fill it.
*/}}
{{- define "service.databaseVariables" -}}
{{- $secret := .secret -}}
{{- if .keys.url -}}
{{ include "service.secretVariable" (dict "variable" .variable "secret" $secret "key" .keys.url) }}
{{- else -}}
- {name: {{ .variable }}, value: "postgresql://"}
{{- range $variable, $part := dict "PGHOST" "host" "PGPORT" "port" "PGDATABASE" "database" "PGUSER" "username" "PGPASSWORD" "password" }}
{{ include "service.secretVariable" (dict "variable" $variable "secret" $secret "key" (get $.keys $part)) }}
{{- end }}
{{- end -}}
{{- end -}}
