import static org.codelibs.opensearch.runner.OpenSearchRunner.newConfigs;

import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node on 127.0.0.1: java -cp 'lib/*' SearchNode.java DIRECTORY PORT. It ends with its standard input. */
public class SearchNode {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception closing) {
                closing.printStackTrace();
            }
        }));
        runner.onBuild((number, settings) -> {
            settings.put("network.host", "127.0.0.1");
            settings.put("http.port", arguments[1]);
            settings.put("transport.port", "0");
            settings.put("discovery.type", "single-node");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
        }).build(newConfigs().basePath(arguments[0]).numOfNode(1).clusterName("tests").printOnFailure());
        // The test that started it holds the other end, so that no node outlives a test that was killed.
        while (System.in.read() != -1) {
        }
        System.exit(0);
    }
}
