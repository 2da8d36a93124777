{{/* Pieces of NetworkPolicies. */}}

{{/* Egress to the cluster's DNS. */}}
{{- define "service.egressDns" -}}
- ports:
  - {protocol: UDP, port: 53}
  - {protocol: TCP, port: 53}
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
