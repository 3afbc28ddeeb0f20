package siotest_test

import "testing"

func TestExamples(tt *testing.T) {
	for name, example := range map[string]func(){
		"NewServer":         ExampleNewServer,
		"Serve":             ExampleServe,
		"NewCluster":        ExampleNewCluster,
		"Cluster_Partition": ExampleCluster_Partition,
		"Cluster_Faults":    ExampleCluster_Faults,
		"Client_Resume":     ExampleClient_Resume,
		"Options_reconnect": ExampleOptions_reconnect,
	} {
		tt.Run(name, func(tt *testing.T) {
			t = tt
			example()
		})
	}
}
