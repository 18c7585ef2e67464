// Command monitoring writes the Grafana dashboard of the app, which the program embeds; `make golden` runs it. Its tests
// prove, with Prometheus' own packages, that all queries and rules are what Prometheus takes, and that the alerts fire
// when they are to.
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

// source is the Prometheus that is chosen above the panels: its name differs from one Grafana to the next.
var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// boardJSON is the dashboard as Grafana reads it.
func boardJSON() ([]byte, error) {
	//nolint:staticcheck // version 2 of the format is for the newest Grafana only; this one is read by all
	b := dashboard.NewDashboardBuilder("scaleout").
		Uid("scaleout"). // what links to the dashboard name it by
		Readonly().      // what someone changes in the browser would be gone with the pod
		Tags([]string{"scaleout"}).
		Description("How visits are answered, by what, and how that scales.").
		Refresh("15s"). // no more often is anything measured
		Time("now-30m", "now").
		Timezone(common.TimeZoneBrowser).
		Tooltip(dashboard.DashboardCursorSyncCrosshair). // one moment in all panels
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

// build makes a panel of a third of the width: Grafana's grid has 24 columns.
func (p panel) build() cog.Builder[dashboard.Panel] {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		targets = append(targets, prometheus.NewDataqueryBuilder().
			Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A'+i))).Datasource(source))
	}
	if p.unit == yesOrNo {
		// The colours differ for the colour-blind as well, and the text says it too.
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
