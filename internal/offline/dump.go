package offline

import (
	"encoding/json"
	"errors"
	"fmt"
)

// dumpFormat is the version of the form in which a program hands its result to `diff`. It changes when an older reader
// would misread the newer form.
const dumpFormat = 1

// dump is a result with its secrets and unknown values already replaced by text.
type dump struct {
	Format int     `json:"scaleoutDump"`
	Result *Result `json:"result"`
}

// Dump writes the result as JSON for the `diff` of another version of the program. Secrets are left out.
func (r *Result) Dump() ([]byte, error) {
	printed := *r
	printed.Exports, _ = printable(r.Exports, false).(map[string]any)
	printed.Resources = nil
	for _, resource := range r.Resources {
		if manifest, ok := resource.Manifest(); ok {
			resource.Inputs = manifest
		}
		resource.Inputs, _ = printable(resource.Inputs, false).(map[string]any)
		printed.Resources = append(printed.Resources, resource)
	}
	encoded, err := json.MarshalIndent(dump{dumpFormat, &printed}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encoding the resources: %w", err)
	}
	return append(encoded, '\n'), nil
}

// readDump reads what Dump wrote.
func readDump(encoded []byte) (*Result, error) {
	var d dump
	if err := json.Unmarshal(encoded, &d); err != nil || d.Result == nil || d.Format == 0 {
		return nil, errors.New("its program knows no `dump`")
	}
	if d.Format != dumpFormat {
		return nil, fmt.Errorf("its program has another form of `dump` (%d, not %d)", d.Format, dumpFormat)
	}
	d.Result.Exports = integers(d.Result.Exports)
	for i := range d.Result.Resources {
		d.Result.Resources[i].Inputs = integers(d.Result.Resources[i].Inputs)
		d.Result.Resources[i].Options = integers(d.Result.Resources[i].Options)
	}
	return d.Result, nil
}
