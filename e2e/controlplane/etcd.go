package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// newEtcdCommand runs a single-member etcd for tests: no fsync, so data does not survive a power failure.
func newEtcdCommand() *cobra.Command {
	var dataDir, clientURL, peerURL string
	command := &cobra.Command{
		Use:          "etcd",
		Short:        "a single-member etcd without fsync",
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			config := embed.NewConfig()
			config.Dir = dataDir
			config.UnsafeNoFsync = true
			config.LogLevel = "error"
			client, err := url.Parse(clientURL)
			if err != nil {
				return fmt.Errorf("--client-url %q: %w", clientURL, err)
			}
			peer, err := url.Parse(peerURL)
			if err != nil {
				return fmt.Errorf("--peer-url %q: %w", peerURL, err)
			}
			config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
			config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
			config.InitialCluster = config.InitialClusterFromName(config.Name)
			server, err := embed.StartEtcd(config)
			if err != nil {
				return fmt.Errorf("start etcd in %s: %w", dataDir, err)
			}
			defer server.Close()
			select {
			case <-server.Server.ReadyNotify():
			case <-time.After(60 * time.Second):
				return fmt.Errorf("etcd in %s was not ready after 60 s", dataDir)
			}
			stop := make(chan os.Signal, 1)
			signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
			select {
			case <-stop:
				return nil
			case err := <-server.Err():
				return err
			}
		},
	}
	command.Flags().StringVar(&dataDir, "data-dir", "", "directory of the data; made when absent")
	command.Flags().StringVar(&clientURL, "client-url", "http://127.0.0.1:2379", "where the API server connects")
	command.Flags().StringVar(&peerURL, "peer-url", "unix://127.0.0.1:2380", "peer address; a unix socket needs no port")
	_ = command.MarkFlagRequired("data-dir")
	return command
}
