// Stores every message of a WebSocket and a newline in a temporary file: gorilla and os.CreateTemp.
//
// Messages are copied from the connection into the file's buffer by io.Copy, without a []byte for
// each.
//
// usage: receive URL DIR
//
// Prints the number of messages and of payload bytes.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/gorilla/websocket"
)

const (
	bufferSize = 1 << 20
	fileMax    = 64 << 20
)

// store is a temporary file that gives its space back whenever it has grown to fileMax.
type store struct {
	file        *os.File
	writer      *bufio.Writer
	messages    int64
	bytes       int64
	startOverAt int64
}

func newStore(directory string) (*store, error) {
	file, err := os.CreateTemp(directory, "peer-go-")
	if err != nil {
		return nil, err
	}
	writer := bufio.NewWriterSize(file, bufferSize)
	return &store{file: file, writer: writer, startOverAt: fileMax}, nil
}

func (s *store) startOver() error {
	s.startOverAt = s.bytes + fileMax
	if err := s.writer.Flush(); err != nil {
		return err
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return err
}

func (s *store) add(payload io.Reader) error {
	n, err := io.Copy(s.writer, payload)
	if err != nil {
		return err
	}
	s.messages++
	s.bytes += n
	if err := s.writer.WriteByte('\n'); err != nil {
		return err
	}
	if s.bytes >= s.startOverAt {
		return s.startOver()
	}
	return nil
}

func (s *store) close() error {
	defer os.Remove(s.file.Name())
	if err := s.writer.Flush(); err != nil {
		return err
	}
	return s.file.Close()
}

func receive(url string, s *store) error {
	dialer := websocket.Dialer{ReadBufferSize: bufferSize}
	conn, _, err := dialer.Dial(url, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		_, payload, err := conn.NextReader()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.add(payload); err != nil {
			return err
		}
	}
}

func run(url, directory string) error {
	s, err := newStore(directory)
	if err != nil {
		return err
	}
	err = receive(url, s)
	if closeErr := s.close(); err == nil {
		err = closeErr
	}
	if err == nil {
		fmt.Println(s.messages, s.bytes)
	}
	return err
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: receive URL DIR")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
