{{/* Parts of Services and NetworkPolicies. */}}

{{/* Address families of a Service, from the root's values. */}}
{{- define "service.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end -}}

{{/* Egress to the cluster's DNS, by networkPolicy.dns of the root. */}}
{{- define "service.egressDns" -}}
{{- with .Values.networkPolicy.dns -}}
- ports:
  {{- range .ports }}
  - {protocol: UDP, port: {{ . }}}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
  {{- with .to }}
  to:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Egress over TCP; dict: ports, and to (peers as in a NetworkPolicy; empty: anywhere). */}}
{{- define "service.egress" -}}
- ports:
  {{- range .ports | uniq }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
  {{- with .to }}
  to:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
Egress to a PostgreSQL; dict: root, pods (labels of its pods, which listen on 5432; empty: a server of the user's, by
networkPolicy.databases of the root).
*/}}
{{- define "service.egressDatabase" -}}
{{- if .pods -}}
{{- include "service.egress" (dict "ports" (list 5432) "to" (include "service.peer" (dict "labels" .pods) | fromYamlArray)) }}
{{- else -}}
{{- include "service.egress" .root.Values.networkPolicy.databases }}
{{- end -}}
{{- end -}}

{{/* Egress to the receiver of spans, by networkPolicy.tracing of the root, if there is one. */}}
{{- define "service.egressTracing" -}}
{{- if .Values.tracing.endpoint -}}
{{- include "service.egress" .Values.networkPolicy.tracing }}
{{- end -}}
{{- end -}}

{{/* A peer by pod labels; dict: labels, and namespace (empty: the policy's own). */}}
{{- define "service.peer" -}}
- podSelector:
    matchLabels:
      {{- toYaml .labels | nindent 6 }}
  {{- with .namespace }}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . | quote }}
  {{- end }}
{{- end -}}
