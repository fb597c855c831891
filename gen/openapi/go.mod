module github.com/rowlock/rowlock/gen/openapi

go 1.26.0
