package offline

// options are the resource options that were set, under their names in the Pulumi documentation. Aliases are left out:
// the Kubernetes SDK gives every resource a dozen.
func (g registration) options() map[string]any {
	set := map[string]any{}
	flag := func(name string, on bool) {
		if on {
			set[name] = true
		}
	}
	words := func(name string, values ...string) {
		var list []any
		for _, v := range values {
			if v != "" {
				list = append(list, v)
			}
		}
		if len(list) > 0 {
			set[name] = list
		}
	}
	flag("protect", g.request.GetProtect())
	flag("retainOnDelete", g.request.GetRetainOnDelete())
	flag("deleteBeforeReplace", g.request.GetDeleteBeforeReplace())
	words("ignoreChanges", g.request.GetIgnoreChanges()...)
	words("replaceOnChanges", g.request.GetReplaceOnChanges()...)
	words("replaceWith", g.request.GetReplaceWith()...)
	words("deletedWith", g.request.GetDeletedWith())
	words("import", g.request.GetImportId())
	words("existing", g.readID)
	timeouts := map[string]any{}
	for name, value := range map[string]string{
		"create": g.request.GetCustomTimeouts().GetCreate(),
		"update": g.request.GetCustomTimeouts().GetUpdate(),
		"delete": g.request.GetCustomTimeouts().GetDelete(),
	} {
		if value != "" {
			timeouts[name] = value
		}
	}
	if len(timeouts) > 0 {
		set["customTimeouts"] = timeouts
	}
	return set
}
