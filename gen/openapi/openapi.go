// Package openapi holds the description of the REST interface. Generated from protos/; do not edit.
package openapi

import _ "embed"

// Document is the description, as JSON.
//
//go:embed rowlock.swagger.json
var Document []byte
