{{/* Where the brokers are, seen from anywhere in the cluster. */}}
{{- define "backbone.bootstrap" -}}
{{- if and .Values.kafka.enabled .Values.kafka.bootstrap -}}
{{- fail (printf "kafka.bootstrap names %s, but kafka.enabled runs a broker here: set kafka.enabled to false to use yours, or kafka.bootstrap to nothing" .Values.kafka.bootstrap) -}}
{{- else if .Values.kafka.enabled -}}
{{ include "service.fullname" . }}-kafka.{{ .Release.Namespace }}.svc:9092
{{- else -}}
{{- required "kafka.bootstrap is needed when kafka.enabled is false: name your brokers, host:port" .Values.kafka.bootstrap -}}
{{- end -}}
{{- end -}}

{{/* KRaft's cluster id: 16 bytes in base64, the same on every render because the volume remembers it. */}}
{{- define "backbone.clusterId" -}}
{{- printf "%s/%s" .Release.Namespace (include "service.fullname" .) | sha256sum | trunc 16 | b64enc | trimSuffix "==" -}}
{{- end -}}

{{- define "backbone.operatorLabels" -}}
app.kubernetes.io/name: kompensa
app.kubernetes.io/component: operator
{{- end -}}

{{/* What the chart kompensa has to be told where its defaults, for a release `backbone` beside it, lead elsewhere. */}}
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
