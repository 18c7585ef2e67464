package report

import "image/color"

// Theme is a set of colours. Those of the lines are from the palette of Okabe and Ito, which stays apart for all kinds of
// colour blindness (https://jfly.uni-koeln.de/color/); lines that share a panel differ in their dashes too.
type Theme struct {
	background, ink, faint                       color.Color
	main, second, third, bad, baseline, annotate color.Color
}

func rgb(hex uint32) color.Color {
	return color.RGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 255} //nolint:gosec // the bytes of a number
}

// Light and Dark are for pages with a light and a dark background.
var (
	Light = Theme{
		background: rgb(0xffffff), ink: rgb(0x24292f), faint: rgb(0xd8dee4),
		main: rgb(0x0072b2), second: rgb(0x009e73), third: rgb(0xcc79a7), bad: rgb(0xd55e00), baseline: rgb(0x8c959f), annotate: rgb(0x8c959f),
	}
	Dark = Theme{
		background: rgb(0x0d1117), ink: rgb(0xe6edf3), faint: rgb(0x30363d),
		main: rgb(0x56b4e9), second: rgb(0x2bc492), third: rgb(0xe39bc4), bad: rgb(0xff8c42), baseline: rgb(0x8b949e), annotate: rgb(0x8b949e),
	}
)
