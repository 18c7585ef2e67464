package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// deployed is an element of the output `images`: a reference by digest that an update put there, and when that update
// began (RFC 3339, UTC).
type deployed struct {
	Image string `json:"image"`
	Since string `json:"since"`
}

// shortDigest is how many digits of a digest are shown: as many as Docker shows. TO takes them.
const shortDigest = 12

// digestPrefix is the beginning of a digest. Seven digits, as git's, are enough to tell twenty images apart, and more
// than a number in the list ever has.
var digestPrefix = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// listed is the images with their numbers, times and short digests, a line each.
func (o outputs) listed() string {
	if len(o.Images) == 0 {
		return "none"
	}
	running := slices.IndexFunc(o.Images, func(v deployed) bool { return v.Image == o.Image })
	lines := make([]string, len(o.Images))
	for i, v := range o.Images {
		repository, digest := splitReference(v.Image)
		lines[i] = fmt.Sprintf("%2d  %s  %.*s  %s", i+1, v.Since, shortDigest, digest, repository)
		if i == running {
			lines[i] += "  (runs)"
		}
	}
	return strings.Join(lines, "\n")
}

// splitReference returns the repository of a reference by digest, and the digits of the digest.
func splitReference(image string) (repository, digest string) {
	repository, digest, _ = strings.Cut(image, "@")
	return repository, strings.TrimPrefix(digest, "sha256:")
}

// choose returns the one image that TO means.
func (o outputs) choose(to string) (string, error) {
	is := func(string) bool { return false }
	number, err := strconv.Atoi(to)
	digits := strings.TrimPrefix(to, "sha256:")
	switch {
	case digestPrefix.MatchString(digits):
		is = func(image string) bool {
			_, digest := splitReference(image)
			return strings.HasPrefix(digest, digits)
		}
	case strings.Contains(to, "@"):
		is = func(image string) bool { return image == to }
	case err != nil:
		return "", fmt.Errorf("TO=%q: want a number of the list, a digest or at least its first 7 digits, or "+
			"<repository>@sha256:<digest>; the list is\n%s", to, o.listed())
	case number >= 1 && number <= len(o.Images):
		return o.Images[number-1].Image, nil
	}
	var found []string
	for _, v := range o.Images {
		if is(v.Image) && !slices.Contains(found, v.Image) {
			found = append(found, v.Image)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("TO=%q: not among the images that ran there, which are\n%s", to, o.listed())
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("TO=%q means several images: give more digits, the number or the whole reference of one of\n%s",
		to, o.listed())
}

// before returns the newest image that is not this one.
func (o outputs) before(image string) (string, error) {
	for _, v := range o.Images {
		if v.Image != image {
			return v.Image, nil
		}
	}
	return "", fmt.Errorf("there is no image to go back to; those that ran there are\n%s", o.listed())
}
