{{/*
Logins, made once: a password that is already in the cluster is kept, so an upgrade changes nothing and a role's
password can be renewed by deleting its Secret and upgrading; the server takes the superuser's at its next start.
*/}}
{{- define "postgres.secrets" -}}
{{- $root := . -}}
{{- if not .Values.superuser.existingSecret -}}
{{ include "postgres.secret" (dict "root" $root "secret" (include "postgres.superuserSecret" .) "role" "postgres" "database" "postgres") }}
{{- end }}
{{- range include "postgres.logins" . | fromYamlArray }}
{{- if .existing }}
{{- $_ := include "service.existingSecret" (dict "root" $root "secret" .secret "value" (printf "databases: the login of role %s" .role)) }}
{{- else }}
---
{{ include "postgres.secret" (merge (dict "root" $root) .) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* dict: root, secret, role, database */}}
{{- define "postgres.secret" -}}
{{- $present := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- $password := dig "data" "password" "" ($present | default dict) | b64dec | default (randAlphaNum 32) -}}
{{- $host := printf "%s.%s.svc" (include "service.fullname" .root) .root.Release.Namespace -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "postgres.metadata" (dict "root" .root "named" .secret "keep" .root.Values.storage.keep) | nindent 2 }}
type: Opaque
stringData:
  host: {{ $host }}
  port: "5432"
  database: {{ .database }}
  username: {{ .role }}
  password: {{ $password }}
  url: {{ printf "postgresql://%s:%s@%s:5432/%s" .role $password $host .database }}
{{- end -}}
