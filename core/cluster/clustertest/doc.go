// Package clustertest proves that an adapter carries the conversation of
// core/cluster. Authors of adapters run it in their own tests:
//
//	func TestAdapter(t *testing.T) {
//		clustertest.Run(t, func(t *testing.T) clustertest.Bus {
//			bus := startBus(t)
//			return func() cluster.Adapter { return myadapter.New(bus) }
//		})
//	}
package clustertest
