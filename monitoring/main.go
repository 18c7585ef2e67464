// Command monitoring writes the Grafana dashboard of the app, which the program embeds; `make golden` runs it. Its
// tests verify with Prometheus' own packages that all queries and rules are valid and alerts fire when they should.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: monitoring FILE")
	}
	content, err := boardJSON()
	if err == nil {
		err = os.WriteFile(os.Args[1], content, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// source is the Prometheus that is selected above the panels, because its name differs between instances of Grafana.
var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// boardJSON returns the dashboard in Grafana's JSON format.
func boardJSON() ([]byte, error) {
	//nolint:staticcheck // only the newest Grafana reads version 2 of the format; all read this one
	b := dashboard.NewDashboardBuilder("scaleout").
		Uid("scaleout"). // the name of the dashboard in links
		Readonly().      // changes in the browser would be lost with the pod
		Tags([]string{"scaleout"}).
		Description("How visits are answered, by what, and how that scales.").
		Refresh("15s"). // the interval of measurements
		Time("now-30m", "now").
		Timezone(common.TimeZoneBrowser).
		Tooltip(dashboard.DashboardCursorSyncCrosshair). // the same time in all panels
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("data source").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("namespace").
			Datasource(source).
			Query(dashboard.StringOrMap{String: cog.ToPtr("label_values(http_requests_in_flight, namespace)")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged))
	for _, row := range rows {
		b.WithRow(dashboard.NewRowBuilder(row.title))
		for _, p := range row.panels {
			b.WithPanel(p.build())
		}
	}
	board, err := b.Build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(board, "", " ")
	return append(text, '\n'), err
}

// build returns a panel with a third of the width: Grafana's grid has 24 columns.
func (p panel) build() cog.Builder[dashboard.Panel] {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		targets = append(targets, prometheus.NewDataqueryBuilder().
			Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A'+i))).Datasource(source))
	}
	if p.unit == yesOrNo {
		// The colors are distinguishable with color blindness, and the text has the state, too.
		states := dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: map[string]dashboard.ValueMappingResult{
			"0": {Text: cog.ToPtr("no"), Color: cog.ToPtr("semi-dark-orange")},
			"1": {Text: cog.ToPtr("yes"), Color: cog.ToPtr("semi-dark-blue")},
		}}
		return statetimeline.NewPanelBuilder().
			Title(p.title).Description(p.description).
			Datasource(source).Targets(targets).
			Span(8).Height(8).
			MergeValues(true).
			Mappings([]dashboard.ValueMapping{{ValueMap: &states}})
	}
	b := timeseries.NewPanelBuilder().
		Title(p.title).Description(p.description).Unit(p.unit).
		Datasource(source).Targets(targets).
		Span(8).Height(8).
		Min(0).LineWidth(2).FillOpacity(0).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).
			DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for _, bound := range p.bounds {
		b.OverrideByName(bound, []dashboard.DynamicConfigValue{
			{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{8, 8}}},
			{Id: "custom.lineWidth", Value: 1},
			{Id: "color", Value: map[string]any{"mode": "fixed", "fixedColor": "text"}},
		})
	}
	return b
}
