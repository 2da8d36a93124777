{{/* Pieces of NetworkPolicies. */}}

{{/* Egress to the cluster's DNS. */}}
{{- define "service.egressDns" -}}
- ports:
  - {protocol: UDP, port: 53}
  - {protocol: TCP, port: 53}
{{- end -}}

{{/* Egress to a PostgreSQL; dict: root, pods (labels of its pods, which listen on 5432; empty: one outside the cluster). */}}
{{- define "service.egressDatabase" -}}
- ports:
  {{- range ternary (list 5432) .root.Values.networkPolicy.databasePorts (not (empty .pods)) }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
  {{- with .pods }}
  to:
  {{- include "service.peer" (dict "labels" .) | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* A peer by namespace and pod labels; dict: namespace (empty: the policy's own), labels. */}}
{{- define "service.peer" -}}
- podSelector:
    matchLabels:
      {{- toYaml .labels | nindent 6 }}
  {{- with .namespace }}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . }}
  {{- end }}
{{- end -}}
