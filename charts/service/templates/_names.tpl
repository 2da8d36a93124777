{{/*
Names and labels. Each takes a dict: root (the chart's context), component (the role of the pod) and, if a chart holds
several things of the same kind, name (default: the chart's name).
*/}}

{{/*
The release's name together with the chart's name: the prefix of every object of a chart that may be installed twice. It
has at most 40 of the 63 characters that a name may have, because the longest suffix is `-provision-<revision>-<digest>`.
A long name loses characters of the release's part, so that two charts of one release still have different names. Dots
become hyphens, because a Service's name must not have a dot.
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

{{/*
The chart's own name. Under an umbrella chart, .Chart.Name is the alias of the dependency, but the network policies of
the other charts select pods by the chart's own name.
*/}}
{{- define "service.chartName" -}}
{{- index .Chart.Annotations "kompensa.dev/chart" | default .Chart.Name -}}
{{- end -}}

{{/* The labels that select the pods. They never change after the first install, because selectors are immutable. */}}
{{- define "service.selectorLabels" -}}
app.kubernetes.io/name: {{ .name | default (include "service.chartName" .root) | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end -}}

{{/* All labels of an object. Those of commonLabels come last and replace none of the chart's. */}}
{{- define "service.labels" -}}
{{- $ours := include "service.selectorLabels" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "kompensa" -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $ours "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- merge $ours (.root.Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{/* A whole metadata block; dict: root, component, and optionally fullname, name, annotations, keep. */}}
{{- define "service.metadata" -}}
name: {{ .fullname | default (printf "%s-%s" (include "service.fullname" .root) .component) | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "service.labels" . | nindent 2 }}
{{- $keep := ternary (dict "helm.sh/resource-policy" "keep") dict (.keep | default false) }}
{{- with merge $keep (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Metadata of a pod template; dict: root, component, pod (its values, with podLabels and podAnnotations), and optionally
name, labels and annotations (ours). A value replaces neither a label that selects the pod nor an annotation of the chart.
*/}}
{{- define "service.podMetadata" -}}
labels:
  {{- $selecting := include "service.selectorLabels" . | fromYaml }}
  {{- merge $selecting (.labels | default dict) (.pod.podLabels | default dict) (.root.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- with merge (.annotations | default dict) (.pod.podAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
