{{/* Addresses of the brokers, seen from any pod of the cluster. */}}
{{- define "backbone.bootstrap" -}}
{{- if and .Values.kafka.enabled .Values.kafka.bootstrap -}}
{{- fail (printf "kafka.bootstrap names %s, but kafka.enabled runs a broker here: set kafka.enabled to false to use yours, or remove kafka.bootstrap" .Values.kafka.bootstrap) -}}
{{- else if .Values.kafka.enabled -}}
{{ include "service.fullname" . }}-kafka.{{ .Release.Namespace }}.svc:9092
{{- else -}}
{{- required "kafka.bootstrap is needed when kafka.enabled is false: name your brokers, for example kafka.crm:9092" .Values.kafka.bootstrap -}}
{{- end -}}
{{- end -}}

{{/* KRaft's cluster id: 16 bytes in base64. It is the same on every rendering, because the volume stores it. */}}
{{- define "backbone.clusterId" -}}
{{- printf "%s/%s" .Release.Namespace (include "service.fullname" .) | sha256sum | trunc 16 | b64enc | trimSuffix "==" -}}
{{- end -}}

{{- define "backbone.operatorLabels" -}}
app.kubernetes.io/name: kompensa
app.kubernetes.io/component: operator
{{- end -}}

{{/* Values that the chart kompensa needs if its defaults (a release `backbone` in its namespace) do not lead here. */}}
{{- define "backbone.kompensaFlags" -}}
{{- $name := include "service.fullname" . -}}
{{- $elsewhere := or (ne $name "backbone") (ne .Release.Namespace "kompensa-system") -}}
{{- if or $elsewhere (not .Values.kafka.enabled) }}
- kafka.bootstrap={{ include "backbone.bootstrap" . | replace "," "\\," }}
{{- end }}
{{- if .Values.connect.enabled }}
{{- if $elsewhere }}
- connect.url=http://{{ $name }}-connect.{{ .Release.Namespace }}.svc:8083
- connect.namespace={{ .Release.Namespace }}
{{- end }}
{{- if ne .Values.capture.secretName "kompensa-capture-credentials" }}
- connect.captureSecret={{ .Values.capture.secretName }}
{{- end }}
{{- end }}
{{- end -}}
