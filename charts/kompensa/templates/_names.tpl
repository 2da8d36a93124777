{{/* Names that more than one file needs. */}}

{{- define "kompensa.serviceAccount" -}}
{{ include "service.fullname" .root }}-{{ .component }}
{{- end -}}

{{- define "kompensa.apiSecret" -}}
{{- .Values.api.existingSecret | default (printf "%s-api" (include "service.fullname" .)) -}}
{{- end -}}

{{- define "kompensa.apiUrl" -}}
http://{{ include "service.fullname" . }}-api.{{ .Release.Namespace }}.svc:8080
{{- end -}}

{{/* The Secret with the journal's URL: of the bundled PostgreSQL, or of the user's. */}}
{{- define "kompensa.journalSecret" -}}
{{- if .Values.postgres.enabled -}}
{{- printf "%s-kompensa" (include "service.fullname" .Subcharts.postgres) -}}
{{- else -}}
{{- required "journal.existingSecret is needed when postgres.enabled is false: name a Secret with your PostgreSQL's URL" .Values.journal.existingSecret -}}
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
