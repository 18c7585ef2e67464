// Package dashboard makes the Grafana dashboard of the app: how visits are answered, by what, and how that scales.
package dashboard

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// UID is what links to the dashboard name it by.
const UID = "scaleout"

// Three panels side by side, on Grafana's grid of 24 columns.
const (
	panelWidth  = 8
	panelHeight = 8
)

// source is the Prometheus that is chosen above the panels: its name differs from one Grafana to the next.
var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// JSON is the dashboard as Grafana reads it.
func JSON() ([]byte, error) {
	//nolint:staticcheck // version 2 of the format is for the newest Grafana only; this one is read by all
	b := dashboard.NewDashboardBuilder("scaleout").
		Uid(UID).
		Readonly(). // what someone changes in the browser would be gone with the pod
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
	for _, row := range Rows {
		b.WithRow(dashboard.NewRowBuilder(row.Title))
		for _, p := range row.Panels {
			b.WithPanel(p.build())
		}
	}
	board, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("building the dashboard: %w", err)
	}
	text, err := json.MarshalIndent(board, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing the dashboard: %w", err)
	}
	return append(text, '\n'), nil
}

func (p Panel) build() cog.Builder[dashboard.Panel] {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.Queries {
		targets = append(targets, prometheus.NewDataqueryBuilder().
			Expr(q.Expr).LegendFormat(q.Legend).RefId(string(rune('A'+i))).Datasource(source))
	}
	if p.States != nil {
		return p.stateTimeline(targets)
	}
	b := timeseries.NewPanelBuilder().
		Title(p.Title).Description(p.Description).Unit(p.Unit).
		Datasource(source).Targets(targets).
		Span(panelWidth).Height(panelHeight).
		Min(0).LineWidth(2).FillOpacity(0).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).
			DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for _, bound := range p.Bounds {
		b.OverrideByName(bound, []dashboard.DynamicConfigValue{
			{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{8, 8}}},
			{Id: "custom.lineWidth", Value: 1},
			{Id: "color", Value: map[string]any{"mode": "fixed", "fixedColor": "text"}},
		})
	}
	return b
}

// stateTimeline shows what is true and what is not.
func (p Panel) stateTimeline(targets []cog.Builder[variants.Dataquery]) cog.Builder[dashboard.Panel] {
	options := map[string]dashboard.ValueMappingResult{}
	for value, state := range p.States {
		options[value] = dashboard.ValueMappingResult{Text: cog.ToPtr(state.Text), Color: cog.ToPtr(state.Color)}
	}
	return statetimeline.NewPanelBuilder().
		Title(p.Title).Description(p.Description).
		Datasource(source).Targets(targets).
		Span(panelWidth).Height(panelHeight).
		MergeValues(true).
		Mappings([]dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}})
}
