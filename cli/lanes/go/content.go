// The contents of the workloads: what is sent, what is expected, and how it is compared. Nothing here waits.

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Size is a number of bytes as parameters have it: `64KiB`.
type Size int

var units = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}, {"", 1}}

func (size *Size) UnmarshalJSON(text []byte) error {
	value := strings.Trim(string(text), `"`)
	for _, unit := range units {
		if strings.HasSuffix(value, unit.name) {
			number, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, unit.name)))
			*size = Size(number * unit.bytes)
			return err
		}
	}
	return nil
}

// knownBytes are those of a known file from offset on: word i is (i + 1) × 0x9E3779B97F4A7C15, little endian.
func knownBytes(size Size, offset uint64) []byte {
	content := make([]byte, 0, size+8)
	for word := offset/8 + 1; len(content) < int(size); word++ {
		content = binary.LittleEndian.AppendUint64(content, word*golden)
	}
	return content[:size]
}

const largestPart = 1 << 20

// knownPath makes a file of known bytes if it is missing.
func knownPath(directory string, size Size) (string, error) {
	path := filepath.Join(directory, fmt.Sprintf("known-%d.bin", size))
	if found, err := os.Stat(path); err == nil && found.Size() == int64(size) {
		return path, nil
	}
	if err := os.MkdirAll(directory, 0o777); err != nil {
		return "", err
	}
	unfinished := filepath.Join(directory, fmt.Sprintf("known-%d.%d.tmp", size, os.Getpid()))
	file, err := os.Create(unfinished)
	if err != nil {
		return "", err
	}
	defer file.Close()
	for offset := Size(0); offset < size; offset += largestPart {
		part := size - offset
		if part > largestPart {
			part = largestPart
		}
		if _, err := file.Write(knownBytes(part, uint64(offset))); err != nil {
			return "", err
		}
	}
	if err := file.Sync(); err != nil {
		return "", err
	}
	return path, os.Rename(unfinished, path)
}

// KnownFile is a file of known bytes.
type KnownFile struct {
	path     string
	contents []byte
}

func knownFile(directory string, size Size) (*KnownFile, error) {
	path, err := knownPath(directory, size)
	return &KnownFile{path, knownBytes(size, 0)}, err
}

func (file *KnownFile) check(contents []byte) error {
	if len(contents) != len(file.contents) {
		return wrongContent("expected %d bytes, got %d", len(file.contents), len(contents))
	}
	if !bytes.Equal(contents, file.contents) {
		return wrongContent("expected the bytes that were written, got others")
	}
	return nil
}

func exactly(expected, got any, things string) error {
	if !reflect.DeepEqual(expected, got) {
		return wrongContent("expected %v %s, got %v", expected, things, got)
	}
	return nil
}

// noShorter is an error if it took less than the waits in it may. Timers of Go never end early.
func noShorter(least time.Duration, took int64, thing string) error {
	if took < int64(least) {
		return wrongContent("expected %s to take at least %d ns, took %d", thing, int64(least), took)
	}
	return nil
}

// checkDue is the time since due, in ns.
func checkDue(due int64) (int64, error) {
	late := clock() - due
	if late < 0 {
		return 0, wrongContent("a wait ended %d ns before it was due", -late)
	}
	return late, nil
}

// eachOnce is an error unless seen has each number below count once.
func eachOnce(seen []int, count int, thing string) error {
	times := make([]int, count)
	for _, number := range seen {
		times[number]++
	}
	for number, times := range times {
		if times != 1 {
			return wrongContent("expected %s %d once, got it %d times", thing, number, times)
		}
	}
	return nil
}

func isSorted(numbers []int) bool {
	for place := 1; place < len(numbers); place++ {
		if numbers[place] < numbers[place-1] {
			return false
		}
	}
	return true
}

// Peak is a number that goes up and down, and its maximum.
type Peak struct {
	lock      sync.Mutex
	now, most int
}

func (peak *Peak) add(number int) {
	peak.lock.Lock()
	defer peak.lock.Unlock()
	peak.now += number
	if peak.now > peak.most {
		peak.most = peak.now
	}
}

func (peak *Peak) atMost(limit int, things string) error {
	if peak.most > limit {
		return wrongContent("expected at most %d %s at once, got %d", limit, things, peak.most)
	}
	return nil
}

// atOnce runs a task on a goroutine for each number below count, and gives the first error. All are waited for even if one fails.
func atOnce(count int, task func(number int) error) error {
	errs := outcomes(count, task)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func outcomes(count int, task func(number int) error) []error {
	errs := make([]error, count)
	var running sync.WaitGroup
	for number := 0; number < count; number++ {
		running.Add(1)
		go func(number int) {
			defer running.Done()
			errs[number] = task(number)
		}(number)
	}
	running.Wait()
	return errs
}

// Expectation is the expected status and content of a response.
type Expectation struct {
	Status  json.RawMessage `json:"status"`
	Content string          `json:"content"`

	statuses []string
}

// read turns statuses, a word or several, into words.
func (expectation *Expectation) read() {
	expectation.statuses = []string{"2xx"}
	if len(expectation.Status) > 0 {
		expectation.statuses = strings.FieldsFunc(string(expectation.Status), func(letter rune) bool {
			return strings.ContainsRune(`[]", `, letter)
		})
	}
}

func (expectation *Expectation) compares() bool {
	return expectation.Content == "" || expectation.Content == "same"
}

func (expectation *Expectation) checkStatus(request string, status int) error {
	text := strconv.Itoa(status)
	for _, known := range expectation.statuses {
		if known == text || known == text[:1]+"xx" {
			return nil
		}
	}
	return &Failure{"status", fmt.Sprintf("%s answered %d", request, status)}
}

func (expectation *Expectation) check(request string, answer *Answer, expected []byte) error {
	if err := expectation.checkStatus(request, answer.status); err != nil {
		return err
	}
	if expectation.compares() && !bytes.Equal(answer.body, expected) {
		return wrongContent("%s: expected %d bytes as before, got %d that differ", request, len(expected), len(answer.body))
	}
	return nil
}

// User and Post are the documents of `http-json`.
type User struct {
	ID    *int64  `json:"id"`
	Name  *string `json:"name"`
	Email *string `json:"email"`
}

type Post struct {
	UserID *int64  `json:"userId"`
	Title  *string `json:"title"`
}

// document decodes a document: the user first, then posts.
func document(place int, body []byte) (any, error) {
	var decoded any = &Post{}
	if place == 0 {
		decoded = &User{}
	}
	if err := json.Unmarshal(body, decoded); err != nil {
		return nil, wrongContent("the document cannot be decoded: %s", err)
	}
	fields := reflect.ValueOf(decoded).Elem()
	for field := 0; field < fields.NumField(); field++ {
		if fields.Field(field).IsNil() {
			return nil, wrongContent("the document lacks a field")
		}
	}
	return decoded, nil
}

// checkAuthors is an error if a post is of another user than the first document.
func checkAuthors(documents []any) error {
	user := documents[0].(*User)
	for _, other := range documents[1:] {
		if post := other.(*Post); *post.UserID != *user.ID {
			return wrongContent("expected posts of the requested user, got one of user %d", *post.UserID)
		}
	}
	return nil
}

// delayedPath is a path that the mock `http` answers after this time.
func delayedPath(delay time.Duration) string {
	return fmt.Sprintf("/delay/%dns", int64(delay))
}

// linesOf are the lines of a file of `file-lines`: 20 to 99, drawn by its number.
func linesOf(file int) int {
	return 20 + int(drawBelow(0, uint64(file), 80))
}

// directoryOfLines makes a directory of files if it is missing, and counts their lines.
func directoryOfLines(parent string, files int) (directory string, lines int, err error) {
	directory = filepath.Join(parent, fmt.Sprintf("lines-%d", files))
	for file := 0; file < files; file++ {
		lines += linesOf(file)
	}
	if _, err := os.Stat(directory); err == nil {
		return directory, lines, nil
	}
	unfinished := filepath.Join(parent, fmt.Sprintf("lines-%d.%d.tmp", files, os.Getpid()))
	if err := os.MkdirAll(unfinished, 0o777); err != nil {
		return "", 0, err
	}
	for file := 0; file < files; file++ {
		var text strings.Builder
		for number := 0; number < linesOf(file); number++ {
			fmt.Fprintf(&text, "line %d of file %d\n", number, file)
		}
		path := filepath.Join(unfinished, fmt.Sprintf("%d.txt", file))
		if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
			return "", 0, err
		}
	}
	return directory, lines, os.Rename(unfinished, directory)
}

// Bystander wants to be woken at fixed times, and notes how late it was.
type Bystander struct {
	round  *Round
	start  int64
	period time.Duration
	times  int
}

func (bystander Bystander) standBy() error {
	var worst int64
	for number := 1; number <= bystander.times; number++ {
		due := bystander.start + int64(bystander.period)*int64(number)
		time.Sleep(time.Duration(due - clock()))
		late, err := checkDue(due)
		if err != nil {
			return err
		}
		bystander.round.observe("bystander_delay", late)
		if late > worst {
			worst = late
		}
	}
	bystander.round.observe("stall", worst)
	return nil
}

// inUnits is a length of a scenario in time.
func (round *Round) inUnits(units float64) time.Duration {
	return time.Duration(math.Round(units * float64(round.UnitNs)))
}
