{{/*
Logins. A password is made at the first install. An upgrade finds it in the cluster and keeps it. To renew a role's
password, delete its Secret and upgrade; the server takes a new password of the superuser at its next start.
`helm template` does not look into the cluster and makes new passwords each time: a Secret of the user's
(`existing: true`, superuser.existingSecret) is never rendered here.
*/}}
{{- define "postgres.secrets" -}}
{{- $instance := . -}}
{{- if not .values.superuser.existingSecret.name -}}
{{ include "postgres.secret" (merge (dict "login" (dict "secret" (printf "%s-superuser" .name) "role" "postgres" "database" "postgres")) .) }}
{{- end }}
{{- range include "postgres.logins" . | fromYamlArray }}
{{- if .existing }}
{{- $value := printf "databases: the login of role %s" .role }}
{{- $_ := include "service.existingSecret" (dict "root" $instance.root "secret" .secret "value" $value) }}
{{- else }}
---
{{ include "postgres.secret" (merge (dict "login" .) $instance) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* An instance's dict with login: {secret, role, database}. */}}
{{- define "postgres.secret" -}}
{{- $password := include "postgres.password" (dict "root" .root "secret" .login.secret) | fromJson -}}
{{- $host := printf "%s.%s.svc" .name .root.Release.Namespace -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "postgres.metadata" (dict "root" .root "name" .name "fullname" .login.secret "keep" .values.storage.keep) | nindent 2 }}
type: Opaque
stringData:
  host: {{ $host | quote }}
  port: "5432"
  database: {{ .login.database | quote }}
  username: {{ .login.role | quote }}
  password: {{ $password.text | toJson }}
  url: {{ printf "postgresql://%s:%s@%s:5432/%s" .login.role (include "service.urlPart" $password.text) $host .login.database | toJson }}
{{- end -}}

{{/*
The password in a Secret of the cluster, or a new one, as JSON {text}. A line end at its end, as an editor or
`kubectl create secret --from-file` leaves it, is not a part of it: no reader takes it along. dict: root, secret.
*/}}
{{- define "postgres.password" -}}
{{- $present := lookup "v1" "Secret" .root.Release.Namespace .secret | default dict -}}
{{- $found := dig "data" "password" "" $present | b64dec | trimSuffix "\n" | trimSuffix "\r" -}}
{{- dict "text" ($found | default (randAlphaNum 32)) | toJson -}}
{{- end -}}
