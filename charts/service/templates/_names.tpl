{{/*
Names and labels. Each takes a dict: root (the chart's context), component (what the pod does) and, where a chart
holds several things of equal rank, name (defaults to the chart's).
*/}}

{{/*
The release's name, with the chart's in it: the prefix of every object of a chart that may be installed twice. At most
40 of the 63 characters that a name may have: the longest addition is `-provision-<revision>-<digest>`. What is cut is
the release's part, or the names of two charts of one release would be the same; no dots, which a Service may not have.
*/}}
{{- define "service.fullname" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name $release -}}
{{- $release | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" ($release | trunc (int (sub 39 (len .Chart.Name))) | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods; never changes after the first install, because selectors are immutable. */}}
{{- define "service.selectorLabels" -}}
app.kubernetes.io/name: {{ .name | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "service.labels" -}}
{{ include "service.selectorLabels" . }}
app.kubernetes.io/part-of: kompensa
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A whole metadata block; dict: root, component, suffix or fullname, and optionally name, annotations, keep. */}}
{{- define "service.metadata" -}}
name: {{ .fullname | default (printf "%s-%s" (include "service.fullname" .root) .component) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "service.labels" . | nindent 2 }}
{{- $annotations := .annotations | default dict }}
{{- if .keep }}
{{- $annotations = merge (dict "helm.sh/resource-policy" "keep") $annotations }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
