// Workloads with files, with os: a call blocks its thread, and the runtime has others.

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// writeFile writes a file, and waits until the device has it.
func writeFile(path string, content []byte, sync bool) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if sync {
		return file.Sync()
	}
	return nil
}

type FileRead struct {
	Common
	Size Size

	file *KnownFile
}

func (workload *FileRead) Prepare() (err error) {
	if err := workload.round.params(workload); err != nil {
		return err
	}
	workload.file, err = knownFile(workload.round.WorkDir, workload.Size)
	return err
}

func (workload *FileRead) Operate(any, uint64) error {
	contents, err := os.ReadFile(workload.file.path)
	if err != nil {
		return err
	}
	return workload.file.check(contents)
}

// FileRandom reads a block at a drawn offset of an open file.
type FileRandom struct {
	Common
	FileSize Size `json:"file_size"`
	Block    Size

	path string
}

type openFile struct {
	file  *os.File
	block []byte
}

func (workload *FileRandom) Prepare() (err error) {
	if err := workload.round.params(workload); err != nil {
		return err
	}
	workload.path, err = knownPath(workload.round.WorkDir, workload.FileSize)
	return err
}

func (workload *FileRandom) Open(int) (any, error) {
	file, err := os.Open(workload.path)
	return &openFile{file, make([]byte, workload.Block)}, err
}

func (workload *FileRandom) Close(session any) { session.(*openFile).file.Close() }

func (workload *FileRandom) Operate(session any, op uint64) error {
	open := session.(*openFile)
	offset := drawBelow(workload.round.Seed, op, uint64(workload.FileSize/workload.Block)) * uint64(workload.Block)
	// The result of the previous read must not pass for that of this one.
	for place := range open.block {
		open.block[place] = 0
	}
	if _, err := open.file.ReadAt(open.block, int64(offset)); err != nil {
		return err
	}
	if !bytes.Equal(open.block, knownBytes(workload.Block, offset)) {
		return wrongContent("the %d bytes at offset %d are wrong", workload.Block, offset)
	}
	return nil
}

type FileWrite struct {
	Common
	Size Size
	Sync *bool

	content []byte
}

func (workload *FileWrite) Prepare() error {
	if err := workload.round.params(workload); err != nil {
		return err
	}
	workload.content = knownBytes(workload.Size, 0)
	return os.MkdirAll(workload.round.WorkDir, 0o777)
}

func (workload *FileWrite) Open(index int) (any, error) {
	return filepath.Join(workload.round.WorkDir, fmt.Sprintf("written-%d.bin", index)), nil
}

func (workload *FileWrite) Close(session any) { os.Remove(session.(string)) }

func (workload *FileWrite) Operate(session any, op uint64) error {
	path := session.(string)
	// Each operation writes other bytes, so that older ones are found out.
	written := append([]byte{}, workload.content...)
	copy(written, binary.LittleEndian.AppendUint64(nil, op))
	if err := writeFile(path, written, workload.Sync == nil || *workload.Sync); err != nil {
		return err
	}
	read, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(written, read) {
		return wrongContent("what was read back is not what was written")
	}
	return err
}

type FileLines struct {
	Common
	Files, Limit int

	directory string
	lines     int
}

func (workload *FileLines) Prepare() (err error) {
	if err := workload.round.params(workload); err != nil {
		return err
	}
	workload.directory, workload.lines, err = directoryOfLines(workload.round.WorkDir, workload.Files)
	return err
}

func (workload *FileLines) Operate(any, uint64) error {
	entries, err := os.ReadDir(workload.directory)
	if err != nil {
		return err
	}
	semaphore := make(chan struct{}, workload.Limit)
	var reading Peak
	counts := make([]int, len(entries))
	err = atOnce(len(entries), func(number int) error {
		semaphore <- struct{}{}
		defer func() { <-semaphore }()
		reading.add(1)
		defer reading.add(-1)
		text, err := os.ReadFile(filepath.Join(workload.directory, entries[number].Name()))
		counts[number] = bytes.Count(text, []byte("\n"))
		return err
	})
	if err != nil {
		return err
	}
	workload.round.number("files_at_once", float64(reading.most))
	lines := 0
	for _, count := range counts {
		lines += count
	}
	if err := exactly(workload.Files, len(counts), "files"); err != nil {
		return err
	}
	if err := exactly(workload.lines, lines, "lines in all files"); err != nil {
		return err
	}
	return reading.atMost(workload.Limit, "files")
}

// FileProcess has three files at once, each read and followed by a wait that stands for processing.
type FileProcess struct {
	Common
	Size Size

	files []*KnownFile
}

func (workload *FileProcess) Prepare() error {
	if err := workload.round.params(workload); err != nil {
		return err
	}
	for longer := Size(0); longer < 3; longer++ {
		file, err := knownFile(workload.round.WorkDir, workload.Size+longer)
		if err != nil {
			return err
		}
		workload.files = append(workload.files, file)
	}
	return nil
}

func (workload *FileProcess) Operate(any, uint64) error {
	return atOnce(len(workload.files), func(number int) error {
		entered := clock()
		contents, err := os.ReadFile(workload.files[number].path)
		if err != nil {
			return err
		}
		time.Sleep(workload.round.unit())
		lasted := clock() - entered
		workload.round.observe("file_scope", lasted)
		if err := workload.files[number].check(contents); err != nil {
			return err
		}
		return noShorter(workload.round.unit(), lasted, "the scope of a file")
	})
}

var fileWorkloads = starters{
	"file-read":    func(round *Round) Workload { return &FileRead{Common: Common{round}} },
	"file-random":  func(round *Round) Workload { return &FileRandom{Common: Common{round}} },
	"file-write":   func(round *Round) Workload { return &FileWrite{Common: Common{round}} },
	"file-lines":   func(round *Round) Workload { return &FileLines{Common: Common{round}} },
	"file-process": func(round *Round) Workload { return &FileProcess{Common: Common{round}} },
}
