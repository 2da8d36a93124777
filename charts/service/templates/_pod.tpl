{{/*
The parts that every pod of the project shares. The security settings are those of the Pod Security Standard
"restricted", and no value weakens them. Only the user id can be left to the platform (runAsUser: null).
*/}}

{{/*
An image reference; dict: root, image {registry, repository, tag, digest}. The tag defaults to appVersion. An umbrella
chart may set global.imageRegistry for all images without a registry of their own.
*/}}
{{- define "service.image" -}}
{{- $registry := .image.registry | default (.root.Values.global | default dict).imageRegistry -}}
{{- $name := .image.repository -}}
{{- with $registry -}}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- $name }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Secrets to pull images with, as a YAML list: the chart's, then those that an umbrella chart sets for all. */}}
{{- define "service.pullSecrets" -}}
{{- $global := (.Values.global | default dict).imagePullSecrets | default list -}}
{{- concat (.Values.imagePullSecrets | default list) $global | uniq | toYaml -}}
{{- end -}}

{{/* dict: user (uid and gid, or null) */}}
{{- define "service.podSecurity" -}}
runAsNonRoot: true
{{- with .user }}
runAsUser: {{ include "service.setting" . }}
runAsGroup: {{ include "service.setting" . }}
fsGroup: {{ include "service.setting" . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "service.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Fields of a pod spec for the owner of a cluster; dict: pod (the values of that pod), root. */}}
{{- define "service.scheduling" -}}
{{- with include "service.pullSecrets" .root | fromYamlArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- with get $.pod $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The receiver of a process's spans as an environment variable, if tracing.endpoint of the root is set. */}}
{{- define "service.tracingVariable" -}}
{{- with .Values.tracing.endpoint -}}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end -}}
{{- end -}}

{{/* The writable folder of a pod with a read-only root file system. */}}
{{- define "service.tmpVolume" -}}
name: tmp
emptyDir:
  sizeLimit: {{ .sizeLimit | default "64Mi" }}
{{- end -}}

{{/* Startup, liveness and readiness over HTTP; dict: port, live, ready, and startSeconds (how long a start may take). */}}
{{- define "service.httpProbes" -}}
startupProbe:
  httpGet: {path: {{ .live }}, port: {{ .port }}}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: {{ div (.startSeconds | default 120) 2 }}
livenessProbe:
  httpGet: {path: {{ .live }}, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ .ready }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 3
{{- end -}}

{{/* A disruption budget; dict: root, component, and optionally fullname, name. One pod at a time may be evicted. */}}
{{- define "service.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready protects nothing. Without this line it would block the drain of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "service.selectorLabels" . | nindent 6 }}
{{- end -}}
