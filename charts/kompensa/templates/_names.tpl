{{/* Names that more than one file needs. */}}

{{- define "kompensa.serviceAccount" -}}
{{ include "service.fullname" .root }}-{{ .component }}
{{- end -}}

{{- define "kompensa.apiSecret" -}}
{{- if .Values.api.existingSecret -}}
{{- include "service.existingSecret" (dict "root" . "secret" .Values.api.existingSecret "value" "api.existingSecret") -}}
{{- else -}}
{{- printf "%s-api" (include "service.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "kompensa.apiUrl" -}}
http://{{ include "service.fullname" . }}-api.{{ .Release.Namespace }}.svc:8080
{{- end -}}

{{/* The Secret with the journal's URL: of the bundled PostgreSQL, or of the user's. */}}
{{- define "kompensa.journalSecret" -}}
{{- $own := .Values.journal.existingSecret -}}
{{- if and .Values.postgres.enabled $own -}}
{{- fail (printf "journal.existingSecret names Secret %s, but postgres.enabled brings a PostgreSQL for the journal: set postgres.enabled to false to use yours, or journal.existingSecret to nothing" $own) -}}
{{- else if .Values.postgres.enabled -}}
{{- printf "%s-kompensa" (include "service.fullname" .Subcharts.postgres) -}}
{{- else if $own -}}
{{- include "service.existingSecret" (dict "root" . "secret" $own "value" "journal.existingSecret") -}}
{{- else -}}
{{- fail "journal.existingSecret is needed when postgres.enabled is false: name a Secret with your PostgreSQL's URL" -}}
{{- end -}}
{{- end -}}

{{- define "kompensa.journalKey" -}}
{{- ternary "url" .Values.journal.key .Values.postgres.enabled -}}
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
