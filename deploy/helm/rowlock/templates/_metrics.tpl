{{/* Annotations of a pod whose numbers are read at a port, of (dict "root" $ "port" 9464). */}}
{{- define "rowlock.podAnnotations" -}}
{{- $found := deepCopy .root.Values.podAnnotations }}
{{- if .root.Values.metrics.annotations }}
{{- $found = merge $found (dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString .port) "prometheus.io/path" "/metrics") }}
{{- end }}
{{- with $found }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
