package report

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	devtools "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "folder to keep the screenshots of TestBrowser in")

// look is what the script findOut measures in the page.
type look struct {
	Shown, Hidden int     // figures
	Width, Height float64 // of the picture
	Overflow      float64 // of the page beyond the window
	Contrast      float64 // the lowest of all text
	Worst         string  // the text that has it
}

// findOut measures the figures, and the contrast of all text against the nearest background, for which WCAG requires
// 4.5 (https://www.w3.org/TR/WCAG22/#contrast-minimum).
const findOut = `(() => {
  const luminance = c => { const [r, g, b] = c.match(/[\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b }
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((a, b) => b - a)
    return (x + .05) / (y + .05) }
  const ground = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor
    if (c !== 'rgba(0, 0, 0, 0)') return c } return 'rgb(255, 255, 255)' }
  const out = { Shown: 0, Hidden: 0, Contrast: 99, Worst: '',
    Overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth }
  for (const f of document.querySelectorAll('figure')) {
    const box = f.querySelector('svg').getBoundingClientRect()
    if (box.width === 0) { out.Hidden++; continue }
    out.Shown++; out.Width = box.width; out.Height = box.height
  }
  for (const e of document.querySelectorAll('h1, h2, p, th, td, li, text')) {
    if (!e.textContent.trim() || e.getBoundingClientRect().width === 0) continue
    const style = getComputedStyle(e), c = contrast(e.tagName === 'text' ? style.fill : style.color, ground(e))
    if (c < out.Contrast) { out.Contrast = c; out.Worst = e.textContent.trim().slice(0, 40) }
  }
  return out
})()`

// TestBrowser: in a real browser the page is readable in light and dark, on a wide screen and on a phone, and loads
// nothing else.
func TestBrowser(t *testing.T) {
	browser := findBrowser(t)
	run, base := example("ours"), example("plain")
	run.Total.Failures = map[string]int{"503 Service Unavailable": 3}
	base.Autoscaler.Target = 60
	files, err := Files(run, base, 150)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, files["report.html"], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			name := fmt.Sprintf("%s-%d", scheme, width)
			t.Run(name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(browser, time.Minute)
				defer cancel()
				ctx, closeTab := chromedp.NewContext(ctx)
				defer closeTab()
				chromedp.ListenTarget(ctx, func(event any) {
					switch e := event.(type) {
					case *network.EventRequestWillBeSent:
						if e.Request.URL != "file://"+file {
							t.Errorf("the page loads %s", e.Request.URL)
						}
					case *runtime.EventExceptionThrown:
						t.Errorf("an exception: %s", e.ExceptionDetails.Error())
					}
				})
				var l look
				var shot []byte
				err := chromedp.Run(ctx,
					network.Enable(),
					emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
						{Name: "prefers-color-scheme", Value: scheme},
					}),
					emulation.SetDeviceMetricsOverride(width, 900, 1, width < 500),
					chromedp.Navigate("file://"+file),
					chromedp.Evaluate(findOut, &l),
					chromedp.ActionFunc(func(ctx context.Context) (err error) {
						shot, err = devtools.CaptureScreenshot().WithCaptureBeyondViewport(true).Do(ctx)
						return err
					}),
				)
				if err != nil {
					t.Fatal(err)
				}
				if l.Shown != 1 || l.Hidden != 1 || l.Width < 0.8*min(float64(width), 990) || l.Height < l.Width/2 {
					t.Errorf("of the figures %d are shown and %d hidden; it is %.0f x %.0f in a window of %d",
						l.Shown, l.Hidden, l.Width, l.Height, width)
				}
				if l.Overflow > 0 {
					t.Errorf("the page is %.0f pixels wider than the window", l.Overflow)
				}
				if l.Contrast < 4.5 {
					t.Errorf("the contrast of %q is %.1f", l.Worst, l.Contrast)
				}
				checkShot(t, shot, scheme)
				if *screenshots != "" {
					if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), shot, 0o600); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// checkShot checks that the screenshot has the background of the scheme, and something on it.
func checkShot(t *testing.T, shot []byte, scheme string) {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	colors := map[uint32]int{}
	for x := range picture.Bounds().Dx() {
		for y := range picture.Bounds().Dy() {
			r, g, b, _ := picture.At(x, y).RGBA()
			colors[r>>8<<16|g>>8<<8|b>>8]++
		}
	}
	ground := map[string]uint32{"light": 0xffffff, "dark": 0x0d1117}[scheme]
	all := picture.Bounds().Dx() * picture.Bounds().Dy()
	if share := float64(colors[ground]) / float64(all); share < 0.6 || share > 0.99 || len(colors) < 50 {
		t.Errorf("%.0f %% of the screenshot is the background %06x, and it has %d colors", share*100, ground, len(colors))
	}
}

// findBrowser starts a Chromium that all tabs of a test share. It skips the test if there is none, or fails it in CI.
func findBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	switch {
	case path == "" && os.Getenv("CI") != "":
		t.Fatal("needs Chromium on PATH: CI is set, so this is not skipped")
	case path == "":
		t.Skip("no Chromium on this machine")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return ctx
}
