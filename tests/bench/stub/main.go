// A participant that does nothing, and a load generator for the engine: in Go, so that on a small machine most of the
// processor is left to what is measured.
//
//	stub participant -listen 127.0.0.1:9001 [-delay 0ms]
//	stub load -url http://127.0.0.1:8080 -namespace bench -definition lazy -flight 64 -sagas 20000 -most 10s
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: stub participant|load [flags]")
	}
	switch os.Args[1] {
	case "participant":
		participant(os.Args[2:])
	case "load":
		load(os.Args[2:])
	default:
		fail("unknown command " + os.Args[1])
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}

// participant answers 201 to whatever it is asked, and counts requests without an idempotency key as errors.
func participant(arguments []string) {
	flags := flag.NewFlagSet("participant", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9001", "address")
	delay := flags.Duration("delay", 0, "time that each call takes")
	_ = flags.Parse(arguments)
	// What the steps of create-order keep of their replies, whichever of them asks.
	const id = "8c0a0d0a-6f1e-4f0e-9a53-0f6f9c1c2a11"
	reply, _ := json.Marshal(map[string]any{"reservationId": id, "paymentId": id, "orderId": id, "invoiceId": id,
		"items": []map[string]any{
			{"productId": "b7a4c1de-0001-4000-8000-000000000001", "productName": "Mug", "quantity": 2, "price": "29.99"},
			{"productId": "b7a4c1de-0002-4000-8000-000000000002", "productName": "Lamp", "quantity": 1, "price": "149.99"},
		}})
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Idempotency-Key") == "" {
			http.Error(w, `{"type":"urn:stub:key-missing","title":"no Idempotency-Key"}`, http.StatusUnprocessableEntity)
			return
		}
		time.Sleep(*delay)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(reply)
	}
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(handler), ReadHeaderTimeout: 5 * time.Second}
	fail(server.ListenAndServe().Error())
}

type figures struct {
	Sagas    int     `json:"sagas"`
	Failures int64   `json:"failures"`
	Seconds  float64 `json:"seconds"`
	Rate     float64 `json:"rate"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
}

// load starts sagas, waits for the end of each in the same request, and prints one line of JSON. It starts no more once
// either bound is reached.
func load(arguments []string) {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	url := flags.String("url", "http://127.0.0.1:8080", "the engine's API")
	namespace := flags.String("namespace", "bench", "namespace")
	definition := flags.String("definition", "lazy", "definition")
	flight := flags.Int("flight", 64, "sagas in flight")
	sagas := flags.Int("sagas", 20000, "sagas at most")
	most := flags.Duration("most", 10*time.Second, "time at most")
	_ = flags.Parse(arguments)
	body, _ := json.Marshal(map[string]any{"definition": *definition, "input": map[string]any{
		"customerId": "5b1f1f0e-8a53-4a0e-9a53-0f6f9c1c2a11", "totalAmount": "209.97", "paymentMethodId": "pm-abc",
		"items": []map[string]any{
			{"productId": "b7a4c1de-0001-4000-8000-000000000001", "quantity": 2, "price": "29.99"},
			{"productId": "b7a4c1de-0002-4000-8000-000000000002", "quantity": 1, "price": "149.99"},
		}}})
	target := fmt.Sprintf("%s/v1/namespaces/%s/sagas?wait=30s", *url, *namespace)
	client := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: *flight}}
	times := make([]time.Duration, *sagas)
	var next, ended, failures atomic.Int64
	var workers sync.WaitGroup
	started := time.Now()
	for range *flight {
		workers.Go(func() {
			for time.Since(started) < *most {
				number := next.Add(1) - 1
				if number >= int64(*sagas) {
					return
				}
				begun := time.Now()
				if !succeeded(client, target, body) {
					failures.Add(1)
				}
				times[number] = time.Since(begun)
				ended.Add(1)
			}
		})
	}
	workers.Wait()
	took := time.Since(started).Seconds()
	// Who takes a number uses it, so those of the sagas that ended are the first ones.
	times = times[:ended.Load()]
	slices.Sort(times)
	milliseconds := func(share float64) float64 {
		return float64(times[int(share*float64(len(times)-1))].Microseconds()) / 1000
	}
	_ = json.NewEncoder(os.Stdout).Encode(figures{len(times), failures.Load(), took, float64(len(times)) / took,
		milliseconds(0.5), milliseconds(0.99)})
}

func succeeded(client *http.Client, target string, body []byte) bool {
	response, err := client.Post(target, "application/json", bytes.NewReader(body))
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var view struct{ Phase string }
	return json.NewDecoder(response.Body).Decode(&view) == nil && view.Phase == "Succeeded"
}
