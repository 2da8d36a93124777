{{/* Names and addresses that more than one file needs. */}}

{{- define "kompensa.serviceAccount" -}}
{{ include "service.fullname" .root }}-{{ .component }}
{{- end -}}

{{/* Name of the Secret with the API's token. */}}
{{- define "kompensa.apiSecret" -}}
{{- with .Values.api.existingSecret.name -}}
{{- include "service.existingSecret" (dict "root" $ "secret" . "value" "api.existingSecret.name") -}}
{{- else -}}
{{- printf "%s-api" (include "service.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* The API's token as an environment variable. */}}
{{- define "kompensa.apiToken" -}}
{{- $key := ternary .Values.api.existingSecret.keys.token "token" (not (empty .Values.api.existingSecret.name)) -}}
{{- include "service.secretVariable" (dict "variable" "KOMPENSA_API_TOKEN" "secret" (include "kompensa.apiSecret" .) "key" $key) }}
{{- end -}}

{{- define "kompensa.apiUrl" -}}
http://{{ include "service.fullname" . }}-api.{{ .Release.Namespace }}.svc:8080
{{- end -}}

{{/* The login of the journal's database as environment variables: of the bundled PostgreSQL, or of the user's. */}}
{{- define "kompensa.journal" -}}
{{- $own := .Values.journal.existingSecret -}}
{{- $login := dict "variable" "KOMPENSA_JOURNAL_URL" -}}
{{- if and .Values.postgres.enabled $own.name -}}
{{- fail (printf "journal.existingSecret names Secret %s, but postgres.enabled makes a PostgreSQL for the journal: set postgres.enabled to false to use yours, or remove journal.existingSecret" $own.name) -}}
{{- else if .Values.postgres.enabled -}}
{{- $instance := dict "name" (include "service.fullname" .Subcharts.postgres) "values" .Subcharts.postgres.Values -}}
{{- $entry := include "postgres.entries" $instance | fromYamlArray | first -}}
{{- include "service.databaseVariables" (merge (dict "secret" $entry.secret "keys" (dict "url" "url")) $login) }}
{{- else if $own.name -}}
{{- $secret := include "service.existingSecret" (dict "root" . "secret" $own.name "value" "journal.existingSecret.name") -}}
{{- include "service.databaseVariables" (merge (dict "secret" $secret "keys" $own.keys) $login) }}
{{- else -}}
{{- fail "journal.existingSecret.name is needed when postgres.enabled is false: name a Secret with the login of your PostgreSQL" -}}
{{- end -}}
{{- end -}}

{{- define "kompensa.kafka" -}}
{{- .Values.kafka.bootstrap | default (printf "backbone-kafka.%s.svc:9092" .Release.Namespace) -}}
{{- end -}}

{{- define "kompensa.connectUrl" -}}
{{- .Values.connect.url | default (printf "http://backbone-connect.%s.svc:8083" .Release.Namespace) -}}
{{- end -}}

{{- define "kompensa.selector" -}}
{{- include "service.selectorLabels" . }}
{{- end -}}

{{- define "kompensa.image" -}}
{{ include "service.image" (dict "root" . "image" .Values.image) }}
{{- end -}}
