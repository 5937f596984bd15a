// Packages of apk in a directory and in roots, by the library of apko, which writes apk's databases without apk itself.
//
//	apk pack DIRECTORY PKGINFO FILE        makes a package of what DIRECTORY holds; scripts lie beside PKGINFO
//	apk index REPOSITORY ARCH              writes APKINDEX.tar.gz for the .apk files in REPOSITORY/ARCH
//	apk add ROOT REPOSITORY ARCH NAME...   installs packages with what they need; makes the databases first where there are none
//	apk list ROOT                          name and version of what is installed, a line each
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"chainguard.dev/apko/pkg/apk/apk"
	"chainguard.dev/apko/pkg/apk/fs"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string) error {
	switch {
	case len(words) == 4 && words[0] == "pack":
		return pack(words[1], words[2], words[3])
	case len(words) == 3 && words[0] == "index":
		return index(ctx, filepath.Join(words[1], words[2]))
	case len(words) >= 5 && words[0] == "add":
		return add(ctx, words[1], words[2], words[3], words[4:])
	case len(words) == 2 && words[0] == "list":
		return list(ctx, words[1])
	default:
		return errors.New("usage: apk pack|index|add|list ...")
	}
}

func index(ctx context.Context, directory string) error {
	files, err := filepath.Glob(filepath.Join(directory, "*.apk"))
	if err != nil {
		return err
	}
	all := &apk.APKIndex{}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err != nil {
			return err
		}
		one, err := apk.ParsePackage(ctx, file, uint64(info.Size()))
		file.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all.Packages = append(all.Packages, one)
	}
	archive, err := apk.ArchiveFromIndex(all)
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(directory, "APKINDEX.tar.gz"))
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, archive); err != nil {
		return err
	}
	return out.Close()
}

func open(ctx context.Context, root, arch string) (*apk.APK, error) {
	return apk.New(ctx, apk.WithFS(fs.DirFS(ctx, root)), apk.WithArch(arch), apk.WithIgnoreMknodErrors(true),
		apk.WithIgnoreIndexSignatures(true))
}

func add(ctx context.Context, root, repository, arch string, names []string) error {
	system, err := open(ctx, root, arch)
	if err != nil {
		return err
	}
	if _, err := system.GetInstalled(); err != nil {
		if err := system.InitDB(ctx); err != nil {
			return err
		}
	}
	if err := system.SetRepositories(ctx, []string{repository}); err != nil {
		return err
	}
	world, err := system.GetWorld()
	if err != nil {
		world = nil
	}
	world = append(world, names...)
	slices.Sort(world)
	if err := system.SetWorld(ctx, slices.Compact(world)); err != nil {
		return err
	}
	// The same time for all files, so that two roots differ in what was installed.
	epoch := time.Unix(1_700_000_000, 0)
	_, err = system.FixateWorld(ctx, &epoch)
	return err
}

func list(ctx context.Context, root string) error {
	system, err := open(ctx, root, "x86_64")
	if err != nil {
		return err
	}
	installed, err := system.GetInstalled()
	if err != nil {
		return err
	}
	for _, one := range installed {
		fmt.Println(one.Name, one.Version)
	}
	return nil
}
