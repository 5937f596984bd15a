package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pack makes a package without a signature: one stream of gzip for what is said of it, one for its files.
func pack(directory, info, out string) error {
	data, err := dataOf(directory)
	if err != nil {
		return err
	}
	said, err := os.ReadFile(info)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%sdatahash = %x\n", said, sha256.Sum256(data))
	var control bytes.Buffer
	archive := tar.NewWriter(&control)
	if err := member(archive, ".PKGINFO", 0o644, []byte(text)); err != nil {
		return err
	}
	for _, name := range []string{".pre-install", ".post-install", ".trigger"} {
		script, err := os.ReadFile(filepath.Join(filepath.Dir(info), name))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		if err := member(archive, name, 0o755, script); err != nil {
			return err
		}
	}
	// Not closed: apk reads both streams as one archive, which ends where the files do.
	if err := archive.Flush(); err != nil {
		return err
	}
	head, err := compressed(control.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(head, data...), 0o644)
}

func member(archive *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: packedAt}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

var packedAt = time.Unix(1_700_000_000, 0)

func dataOf(directory string) ([]byte, error) {
	var data bytes.Buffer
	archive := tar.NewWriter(&data)
	err := filepath.Walk(directory, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == directory {
			return err
		}
		name, err := filepath.Rel(directory, path)
		if err != nil {
			return err
		}
		return file(archive, path, name, info)
	})
	if err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return compressed(data.Bytes())
}

func file(archive *tar.Writer, path, name string, info os.FileInfo) error {
	target, content := "", []byte(nil)
	var err error
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		target, err = os.Readlink(path)
		content = []byte(target)
	case info.Mode().IsRegular():
		content, err = os.ReadFile(path)
	}
	if err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name, header.ModTime = name, packedAt
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "root", "root"
	if info.IsDir() {
		header.Name = strings.TrimSuffix(name, "/") + "/"
		return archive.WriteHeader(header)
	}
	header.PAXRecords = map[string]string{"APK-TOOLS.checksum.SHA1": fmt.Sprintf("%x", sha1.Sum(content))}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		_, err = archive.Write(content)
	}
	return err
}

func compressed(bytesOf []byte) ([]byte, error) {
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	if _, err := writer.Write(bytesOf); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
